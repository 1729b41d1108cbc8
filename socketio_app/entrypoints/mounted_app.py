"""The application that the chat is mounted in: it keeps its routes, its errors and its lifespan."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from socketio_app.application.cancellation import start_task

log = logging.getLogger("socketio_app")

_NOT_THE_HOSTS = {"app", "router", "endpoint", "path_params", "starlette.exception_handlers"}


class HostRoute(BaseRoute):
    """Everything that is not the chat's goes to the host, as if the chat were not there.

    Starlette's `Mount` would leave its own router in the scope, and the host's `url_for` would ask
    that one.
    """

    def __init__(self, host: ASGIApp) -> None:
        self._host = host

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every request and WebSocket."""
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the host, without what the way here has added to the scope."""
        untouched = {key: value for key, value in scope.items() if key not in _NOT_THE_HOSTS}
        await self._host(untouched, receive, send)


RETURN_SECONDS = 1.0
"""How long a host may take to return after it has said that it has ended."""


class HostLifespanError(RuntimeError):
    """The host could not start or end. The message is the host's own."""


@asynccontextmanager
async def host_lifespan(host: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Start the host on entry and end it on exit, by the ASGI lifespan protocol.

    Yields:
        The state that the host wants to find in its requests' scopes.

    Raises:
        HostLifespanError: the host says that it cannot start, or end.
    """
    state: dict[str, Any] = {}
    to_host: asyncio.Queue[Message] = asyncio.Queue()
    from_host: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": state,
    }

    async def live() -> None:
        await host(scope, to_host.get, from_host.put)

    # One task for all of it: a host's context variables and task groups live from start to end.
    task = start_task(live())
    try:
        speaks = await _ask(task, to_host, from_host, "startup")
        try:
            yield state
        finally:
            if speaks:
                await _ask(task, to_host, from_host, "shutdown")
                # Most return now; one that goes on to wait for events, of which there are no more,
                # need not.
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
    """Send the host into a phase and await its answer; False if it speaks no lifespan protocol."""
    await to_host.put({"type": f"lifespan.{phase}"})
    answer = start_task(from_host.get())
    either: set[asyncio.Future[Any]] = {task, answer}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        # The protocol: an application that raises before it answers does not support lifespans.
        error = task.exception()
        log.debug("the host application has no lifespan (%s)", type(error).__name__)
        return False
    message = answer.result()
    if message["type"] == f"lifespan.{phase}.failed":
        raise HostLifespanError(
            message.get("message") or f"the host application failed in its {phase}"
        )
    return True
