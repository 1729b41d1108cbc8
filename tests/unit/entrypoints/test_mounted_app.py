"""The lifespan of the host application."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from socketio_app.entrypoints import mounted_app
from socketio_app.entrypoints.mounted_app import HostLifespanError, host_lifespan

pytestmark = pytest.mark.anyio


class Host:
    """An application that records lifespan events; if `endless`, it never returns."""

    def __init__(self, *, endless: bool = False, fails: bool = False) -> None:
        self.events: list[str] = []
        self.endless = endless
        self.fails = fails

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            self.events.append(event)
            outcome = "failed" if self.fails else "complete"
            await send({"type": f"{event}.{outcome}", "message": "no database"})
            if event == "lifespan.shutdown" and not self.endless:
                return


async def test_host_is_started_and_shut_down() -> None:
    app = Host()

    async with host_lifespan(app):
        assert app.events == ["lifespan.startup"]

    assert app.events == ["lifespan.startup", "lifespan.shutdown"]


async def test_host_is_shut_down_if_chat_fails_to_start() -> None:
    app = Host()

    with pytest.raises(LookupError):
        async with host_lifespan(app):
            raise LookupError

    assert app.events == ["lifespan.startup", "lifespan.shutdown"]


async def test_failed_host_startup_raises_its_message() -> None:
    with pytest.raises(HostLifespanError, match="no database"):
        async with host_lifespan(Host(fails=True)):
            pass


async def test_host_that_does_not_return_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mounted_app, "RETURN_SECONDS", 0.01)
    app = Host(endless=True)

    async with asyncio.timeout(60):
        async with host_lifespan(app):
            pass

    assert app.events[-1] == "lifespan.shutdown"
