"""The host application: passing on requests, errors and the lifespan unchanged."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from socketio_app.application.cancellation import start_task

log = logging.getLogger("socketio_app")

_ADDED_KEYS = {"app", "router", "endpoint", "path_params", "starlette.exception_handlers"}


class HostRoute(BaseRoute):
    """Passes all requests that are not the chat's to the host, with their original scope.

    Starlette's `Mount` would leave its own router in the scope, and the host's `url_for` would use
    that one.
    """

    def __init__(self, host: ASGIApp) -> None:
        self._host = host

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match every request and WebSocket."""
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the host, without the keys that Starlette has added to the scope."""
        original = {key: value for key, value in scope.items() if key not in _ADDED_KEYS}
        await self._host(original, receive, send)


class WatchedLifespan:
    """The lifespan of a host whose chat is in front of it; warns if it runs without the chat.

    `fastapi dev` and `fastapi run` only find the FastAPI object, which does not have the chat.
    """

    def __init__(self, lifespan: Lifespan[Any]) -> None:
        self._lifespan = lifespan
        self._is_behind_chat = False

    @classmethod
    def of(cls, host: Starlette) -> Self:
        """Watch the lifespan of a host, once, whatever the number of chats in front of it."""
        lifespan = host.router.lifespan_context
        if not isinstance(lifespan, cls):
            lifespan = host.router.lifespan_context = cls(lifespan)
        return lifespan

    def __call__(self, app: Any) -> AbstractAsyncContextManager[Any]:
        """Return the context manager of the host's own lifespan."""
        if not self._is_behind_chat:
            log.warning(WITHOUT_CHAT)
        return self._lifespan(app)

    @contextmanager
    def behind_chat(self) -> Iterator[None]:
        """The chat starts the host."""
        self._is_behind_chat = True
        try:
            yield
        finally:
            self._is_behind_chat = False


WITHOUT_CHAT: Final = (
    "the application runs without the chat: serve the application that create_socketio_app "
    "returned, or use add_chat instead"
)

RETURN_SECONDS = 1.0
"""Time for a host to return after it has sent `lifespan.shutdown.complete`."""


class HostLifespanError(RuntimeError):
    """The host failed to start or shut down. The message is the host's own."""


@asynccontextmanager
async def host_lifespan(host: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Start the host on entry and shut it down on exit, using the ASGI lifespan protocol.

    Yields:
        The host's lifespan state, for the scopes of its requests.

    Raises:
        HostLifespanError: the host reports that its startup or shutdown failed.
    """
    state: dict[str, Any] = {}
    to_host: asyncio.Queue[Message] = asyncio.Queue()
    from_host: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": state,
    }

    async def run() -> None:
        await host(scope, to_host.get, from_host.put)

    # One task for the whole lifespan, for the host's context variables and task groups.
    task = start_task(run())
    try:
        supports_lifespan = await _ask(task, to_host, from_host, "startup")
        try:
            yield state
        finally:
            if supports_lifespan:
                await _ask(task, to_host, from_host, "shutdown")
                # Most hosts return now. Some keep waiting for further events; these are cancelled.
                await asyncio.wait([task], timeout=RETURN_SECONDS)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _ask(
    task: asyncio.Future[None],
    to_host: asyncio.Queue[Message],
    from_host: asyncio.Queue[Message],
    phase: str,
) -> bool:
    """Run a lifespan phase of the host; return False if it does not support lifespans."""
    await to_host.put({"type": f"lifespan.{phase}"})
    answer = start_task(from_host.get())
    either: set[asyncio.Future[Any]] = {task, answer}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        # ASGI: an application that raises before it replies does not support lifespans.
        error = task.exception()
        log.debug("host application does not support lifespan (%s)", type(error).__name__)
        return False
    message = answer.result()
    if message["type"] == f"lifespan.{phase}.failed":
        raise HostLifespanError(message.get("message") or f"{phase} of the host application failed")
    return True
