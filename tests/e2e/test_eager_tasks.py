"""The chat works on an event loop with eager tasks (Python 3.12 and later)."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import uvloop

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import clients, until
from tests.e2e.members import all_messages_reach_all_members
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        sys.version_info < (3, 12),
        reason="Python 3.11 has no eager tasks, so the chat is NOT TESTED with them",
    ),
]

SLICE_CONNECTIONS = 3


@attrs.frozen
class Path:
    """A code path through the server."""

    websockets: type[asyncio.Protocol] | str
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    is_stored_in_a_file: bool = False

    def __str__(self) -> str:
        websockets = self.websockets if isinstance(self.websockets, str) else "TakeoverProtocol"
        loop = self.new_event_loop.__module__.partition(".")[0]
        return f"{websockets}-{loop}{'-file' * self.is_stored_in_a_file}"


PATHS = [
    Path(TakeoverProtocol),
    Path(TakeoverProtocol, uvloop.new_event_loop),
    Path(TakeoverProtocol, is_stored_in_a_file=True),
    Path("websockets-sansio"),
    Path("wsproto"),
]


@pytest.fixture(scope="module", params=PATHS, ids=str)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = request.param

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = path.new_event_loop()
        factory: Any = getattr(asyncio, "eager_task_factory", None)
        loop.set_task_factory(factory)
        return loop

    file = tmp_path_factory.mktemp("eager") / "chat.db"
    database_url = f"sqlite:///{file}" if path.is_stored_in_a_file else "memory://"
    settings = Settings(secret_key=SECRET, rate_limits=False, database_url=database_url)
    app = application(compose(settings, slice_connections=SLICE_CONNECTIONS))
    with serving_in_a_thread(app, path.websockets, loop_factory=new_event_loop) as base_url:
        yield base_url


async def test_messages_reach_users_and_rooms_over_every_transport(url: str) -> None:
    async with clients(url, ann="upgrade", bob="websocket", cid="polling") as (ann, bob, cid):
        for user, recipient in (("bob", bob), ("cid", cid)):
            sent = await ann.call("send_personal_message", {"to_user_id": user, "content": "hi"})
            received = await until(recipient, "receive_personal_message")
            assert received["message_id"] == sent["message"]["message_id"]
        for client in (ann, bob, cid):
            assert (await client.call("join_room", {"room_id": "room"}))["ok"]
        for sender in (cid, bob) * 20:
            await sender.call("send_group_message", {"room_id": "room", "content": "hello"})
        await until(ann, "receive_group_message", 40)


async def test_members_of_large_room_get_all_messages_in_order(url: str) -> None:
    await all_messages_reach_all_members(url, 2 * SLICE_CONNECTIONS + 1, None)
