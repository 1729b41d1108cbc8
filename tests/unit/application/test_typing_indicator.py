"""Which connections are notified of typing."""

from datetime import timedelta

import pytest

from socketio_app.application.commands import JoinRoom, LeaveRoom, StartTyping, StopTyping
from socketio_app.application.limits import Limits
from socketio_app.domain.conversations import Pair, Person, Room
from socketio_app.domain.errors import NotAMember
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.typing_board import TypingStarted, TypingStopped
from tests.builders import ADA, BOB, DEN, EVE, LOBBY
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=8)

TO_BOB, IN_LOBBY = Person(BOB), Room(LOBBY)


def typing(device: Device) -> list[str]:
    """Return the typing events sent to a connection, in order: `+ada`, `-ada`."""
    return [
        f"{'+' if isinstance(event, TypingStarted) else '-'}{event.user_id}"
        for event in device.events
        if isinstance(event, TypingStarted | TypingStopped)
    ]


async def in_lobby(live: LiveChat, *users: UserId) -> list[Device]:
    """Connect users and make them members of the lobby."""
    devices = [await live.connect(user) for user in users]
    for device in devices:
        await device.execute(JoinRoom(LOBBY))
    return devices


class TestPair:
    async def test_all_connections_of_recipient_are_notified(self, live: LiveChat) -> None:
        ada, bob, bobs_phone = [await live.connect(user) for user in (ADA, BOB, BOB)]

        await ada.execute(StartTyping(TO_BOB))

        started = TypingStarted(ADA, Pair.of(ADA, BOB), expires_in=TTL)
        assert bob.events[-1] == bobs_phone.events[-1] == started

    async def test_no_other_connection_is_notified(self, live: LiveChat) -> None:
        ada, adas_phone, _, eve = [await live.connect(user) for user in (ADA, ADA, BOB, EVE)]

        await ada.execute(StartTyping(TO_BOB))
        await ada.execute(StopTyping(TO_BOB))

        assert typing(ada) == typing(adas_phone) == typing(eve) == []

    async def test_each_user_of_pair_has_own_state(self, live: LiveChat) -> None:
        ada, bob = await live.connect(ADA), await live.connect(BOB)

        await ada.execute(StartTyping(TO_BOB))
        await bob.execute(StartTyping(Person(ADA)))
        await bob.execute(StopTyping(Person(ADA)))

        assert typing(bob) == ["+ada"]
        assert typing(ada) == ["+bob", "-bob"]

    async def test_typing_to_self_is_not_published(self, live: LiveChat) -> None:
        ada, adas_phone = await live.connect(ADA), await live.connect(ADA)

        await ada.execute(StartTyping(Person(ADA)))
        await ada.execute(StopTyping(Person(ADA)))
        await ada.execute(StartTyping(Person(ADA)))
        live.clock.advance(TTL)

        assert typing(ada) == typing(adas_phone) == []


class TestRoom:
    async def test_all_connections_of_other_members_are_notified(self, live: LiveChat) -> None:
        ada, bob, bobs_phone, eve = await in_lobby(live, ADA, BOB, BOB, EVE)

        await ada.execute(StartTyping(IN_LOBBY))

        started = TypingStarted(ADA, IN_LOBBY, expires_in=TTL)
        assert bob.events[-1] == bobs_phone.events[-1] == eve.events[-1] == started

    async def test_no_other_connection_is_notified(self, live: LiveChat) -> None:
        ada, adas_phone = await in_lobby(live, ADA, ADA)
        eve = await live.connect(EVE)
        await eve.execute(JoinRoom(DEN))

        await ada.execute(StartTyping(IN_LOBBY))
        await ada.execute(StopTyping(IN_LOBBY))

        assert typing(ada) == typing(adas_phone) == typing(eve) == []

    async def test_non_member_is_rejected(self, live: LiveChat) -> None:
        (bob,) = await in_lobby(live, BOB)
        ada = await live.connect(ADA)

        with pytest.raises(NotAMember):
            await ada.execute(StartTyping(IN_LOBBY))
        with pytest.raises(NotAMember):
            await ada.execute(StopTyping(IN_LOBBY))

        assert typing(bob) == []

    async def test_states_are_per_room(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        for device in (ada, bob):
            await device.execute(JoinRoom(DEN))

        await ada.execute(StartTyping(IN_LOBBY))
        await ada.execute(StartTyping(Room(DEN)))
        await ada.execute(StopTyping(IN_LOBBY))

        assert [event.conversation for event in bob.of(TypingStarted)] == [IN_LOBBY, Room(DEN)]
        assert bob.of(TypingStopped) == [TypingStopped(ADA, IN_LOBBY)]


class TestLargeRoom:
    @pytest.fixture
    def live(self) -> LiveChat:
        return LiveChat(Limits(max_typing_room_members=2, rates={}))

    async def test_typing_in_room_at_limit_is_published(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)

        await ada.execute(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]

    async def test_typing_in_room_above_limit_is_not_published(self, live: LiveChat) -> None:
        ada, bob, _ = await in_lobby(live, ADA, BOB, EVE)

        await ada.execute(StartTyping(IN_LOBBY))
        await ada.execute(StopTyping(IN_LOBBY))

        assert typing(bob) == []

    async def test_room_limit_counts_users_not_connections(self, live: LiveChat) -> None:
        ada, bob, *_ = await in_lobby(live, ADA, BOB, BOB, BOB)

        await ada.execute(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]

    async def test_non_member_of_large_room_is_rejected(self, live: LiveChat) -> None:
        await in_lobby(live, BOB, EVE, UserId("dan"))
        ada = await live.connect(ADA)

        with pytest.raises(NotAMember):
            await ada.execute(StartTyping(IN_LOBBY))

    async def test_stop_is_published_after_room_grew_too_large(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(IN_LOBBY))
        await in_lobby(live, EVE)

        await ada.execute(StopTyping(IN_LOBBY))

        assert typing(bob) == ["+ada", "-ada"]

    async def test_state_is_not_renewed_after_room_grew_too_large(self, live: LiveChat) -> None:
        ada, bob = await in_lobby(live, ADA, BOB)
        await ada.execute(StartTyping(IN_LOBBY))
        await in_lobby(live, EVE)
        live.clock.advance(TTL / 2)

        await ada.execute(StartTyping(IN_LOBBY))
        live.clock.advance(TTL / 2)

        assert typing(bob) == ["+ada", "-ada"]

    async def test_typing_is_published_after_room_shrank(self, live: LiveChat) -> None:
        ada, bob, eve = await in_lobby(live, ADA, BOB, EVE)
        await ada.execute(StartTyping(IN_LOBBY))
        await eve.execute(LeaveRoom(LOBBY))

        await ada.execute(StartTyping(IN_LOBBY))

        assert typing(bob) == ["+ada"]
