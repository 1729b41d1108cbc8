"""The lifespan of the application that the chat is mounted in."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from socketio_app.entrypoints import mounted_app
from socketio_app.entrypoints.mounted_app import HostLifespanError, host_lifespan

pytestmark = pytest.mark.anyio


class Host:
    """An application that remembers what it was told; `endless` ones wait for more for ever."""

    def __init__(self, *, endless: bool = False, fails: bool = False) -> None:
        self.told: list[str] = []
        self.endless = endless
        self.fails = fails

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            self.told.append(event)
            outcome = "failed" if self.fails else "complete"
            await send({"type": f"{event}.{outcome}", "message": "no database"})
            if event == "lifespan.shutdown" and not self.endless:
                return


async def test_a_host_is_told_of_its_start_and_of_its_end() -> None:
    app = Host()

    async with host_lifespan(app):
        assert app.told == ["lifespan.startup"]

    assert app.told == ["lifespan.startup", "lifespan.shutdown"]


async def test_a_host_is_told_of_its_end_when_the_chat_cannot_start() -> None:
    app = Host()

    with pytest.raises(LookupError):
        async with host_lifespan(app):
            raise LookupError

    assert app.told == ["lifespan.startup", "lifespan.shutdown"]


async def test_a_host_that_cannot_start_says_why() -> None:
    with pytest.raises(HostLifespanError, match="no database"):
        async with host_lifespan(Host(fails=True)):
            pass


async def test_a_host_that_does_not_return_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mounted_app, "RETURN_SECONDS", 0.01)
    app = Host(endless=True)

    async with asyncio.timeout(60):
        async with host_lifespan(app):
            pass

    assert app.told[-1] == "lifespan.shutdown"
