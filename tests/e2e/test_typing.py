"""Typing (docs/wire.md, "Events")."""

import pytest

from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import settled, until
from tests.e2e.conftest import Connect
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings() -> Settings:
    return Settings(
        secret_key=SECRET, rate_limits=False, chat_typing_ttl_ms=400, chat_typing_renew_ms=100
    )


async def test_typing_to_user_is_sent_to_that_user_only(connect: Connect) -> None:
    ada, adas_phone, bob = await connect("ada"), await connect("ada"), await connect("bob")

    assert await ada.call("typing_start", {"to_user_id": "bob"}) == {"ok": True}

    assert await until(bob, "typing") == {
        "from_user_id": "ada",
        "to_user_id": "bob",
        "is_typing": True,
        "expires_in_ms": 400,
    }
    await settled(adas_phone)
    assert adas_phone.inbox.of("typing") == []


async def test_typing_in_room_is_sent_to_other_members(connect: Connect) -> None:
    ada, bob, eve = await connect("ada"), await connect("bob"), await connect("eve")
    for member in (ada, bob):
        await member.call("join_room", {"room_id": "lobby"})

    await ada.call("typing_start", {"room_id": "lobby"})

    assert await until(bob, "typing") == {
        "from_user_id": "ada",
        "room_id": "lobby",
        "is_typing": True,
        "expires_in_ms": 400,
    }
    await settled(ada, eve)
    assert ada.inbox.of("typing") == []
    assert eve.inbox.of("typing") == []


async def test_typing_stops_by_command(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("typing_start", {"to_user_id": "bob"})

    assert await ada.call("typing_stop", {"to_user_id": "bob"}) == {"ok": True}

    assert await until(bob, "typing", count=2) == {
        "from_user_id": "ada",
        "to_user_id": "bob",
        "is_typing": False,
    }


async def test_typing_stops_after_ttl(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("typing_start", {"to_user_id": "bob"})

    stopped = await until(bob, "typing", count=2)

    assert stopped["is_typing"] is False


async def test_typing_stops_when_message_is_sent(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("typing_start", {"to_user_id": "bob"})

    await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})

    await until(bob, "receive_personal_message")
    assert [typing["is_typing"] for typing in bob.inbox.of("typing")] == [True, False]


async def test_typing_stops_when_user_leaves_room(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    for member in (ada, bob):
        await member.call("join_room", {"room_id": "lobby"})
    await ada.call("typing_start", {"room_id": "lobby"})

    await ada.call("leave_room", {"room_id": "lobby"})

    await until(bob, "user_left")
    assert [typing["is_typing"] for typing in bob.inbox.of("typing")] == [True, False]


async def test_typing_is_sent_once_per_change(connect: Connect) -> None:
    ada, adas_phone, bob = await connect("ada"), await connect("ada"), await connect("bob")

    for client in (ada, adas_phone, ada):
        await client.call("typing_start", {"to_user_id": "bob"})
    for client in (adas_phone, ada):
        await client.call("typing_stop", {"to_user_id": "bob"})

    await settled(bob)
    assert [typing["is_typing"] for typing in bob.inbox.of("typing")] == [True, False]


class TestLongTtl:
    """With a TTL that no test outlasts."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            secret_key=SECRET,
            rate_limits=False,
            chat_typing_ttl_ms=60_000,
            chat_typing_room_members=2,
        )

    async def test_typing_stops_when_last_connection_closes(self, connect: Connect) -> None:
        ada, adas_phone, bob = await connect("ada"), await connect("ada"), await connect("bob")
        await ada.call("typing_start", {"to_user_id": "bob"})
        await ada.close()
        await settled(adas_phone, bob)
        assert len(bob.inbox.of("typing")) == 1

        await adas_phone.close()

        stopped = await until(bob, "typing", count=2)
        assert stopped["is_typing"] is False

    async def test_typing_is_not_sent_in_large_room(self, connect: Connect) -> None:
        ada, bob, eve = await connect("ada"), await connect("bob"), await connect("eve")
        for member in (ada, bob, eve):
            await member.call("join_room", {"room_id": "lobby"})

        assert await ada.call("typing_start", {"room_id": "lobby"}) == {"ok": True}

        await settled(bob)
        assert bob.inbox.of("typing") == []
