"""Telling a large audience does not stop the loop, and keeps the order."""

import asyncio

import pytest

from socketio_app.adapters.socketio.hub import SLICE, Hub
from socketio_app.application.events import Members, Users
from socketio_app.domain.identifiers import ConnectionId, UserId
from tests.builders import ADA, LOBBY
from tests.contracts.test_broadcast import ListeningToHub, event

pytestmark = pytest.mark.anyio


@pytest.fixture
def crowd() -> ListeningToHub:
    """A room with more connections than are told in one go, the last one Ada's."""
    listening = ListeningToHub()
    for number in range(2 * SLICE):
        user_id = UserId(f"user {number}")
        listening.listen(user_id, f"{number}")
        listening.broadcast.enter(LOBBY, user_id)
    return listening


async def all_told(hub: Hub) -> None:
    async with asyncio.timeout(10):
        while hub._unfinished:
            await asyncio.sleep(0)


async def test_a_large_room_is_told_in_slices(crowd: ListeningToHub) -> None:
    ada = crowd.listen(ADA, "ada's")
    crowd.broadcast.enter(LOBBY, ADA)

    crowd.broadcast.tell(event(), Members(LOBBY))

    assert ada() == 0
    await all_told(crowd.broadcast)
    assert ada() == 1


async def test_what_is_told_meanwhile_comes_after(crowd: ListeningToHub) -> None:
    ada = crowd.listen(ADA, "ada's")
    crowd.broadcast.enter(LOBBY, ADA)

    crowd.broadcast.tell(event(), Members(LOBBY))
    crowd.broadcast.tell(event(), Users((ADA,)))

    assert ada() == 0
    await all_told(crowd.broadcast)
    assert ada() == 2


async def test_who_is_left_out_is_left_out_of_every_slice(crowd: ListeningToHub) -> None:
    ada, eve = crowd.listen(ADA, "ada's"), crowd.listen(UserId("eve"), "eve's")
    for user_id in (ADA, UserId("eve")):
        crowd.broadcast.enter(LOBBY, user_id)

    crowd.broadcast.tell(event(), Members(LOBBY, but_connection=ConnectionId("ada's")))
    crowd.broadcast.tell(event(), Members(LOBBY, but_user=ADA))

    await all_told(crowd.broadcast)
    assert (ada(), eve()) == (0, 2)


async def test_who_comes_meanwhile_is_not_told(crowd: ListeningToHub) -> None:
    crowd.broadcast.tell(event(), Members(LOBBY))
    late = crowd.listen(UserId("user 0"), "late")

    await all_told(crowd.broadcast)

    assert late() == 0
