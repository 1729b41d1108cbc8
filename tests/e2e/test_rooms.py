"""Rooms (docs/wire.md, "Commands" and "Events")."""

import re

import pytest

from tests.e2e.clients import settled, until
from tests.e2e.conftest import Connect

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_join_returns_state_of_room(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    joined = await bob.call("join_room", {"room_id": "lobby"})

    assert joined == {
        "ok": True,
        "room": {"room_id": "lobby", "last_seq": 1, "member_count": 2},
        "joined": True,
    }


async def test_join_is_announced_once_per_user(connect: Connect) -> None:
    ada, bob, bobs_phone = await connect("ada"), await connect("bob"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})

    await bob.call("join_room", {"room_id": "lobby"})
    again = await bobs_phone.call("join_room", {"room_id": "lobby"})

    assert again["joined"] is False
    await settled(ada)
    _, joined = ada.inbox.of("user_joined")
    assert TIME.fullmatch(joined.pop("joined_at"))
    assert joined == {"room_id": "lobby", "user_id": "bob", "member_count": 2}


async def test_membership_applies_to_all_connections_of_user(connect: Connect) -> None:
    ada, adas_phone, bob = await connect("ada"), await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})

    await bob.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    await until(ada, "receive_group_message")
    await until(adas_phone, "receive_group_message")


async def test_membership_survives_reconnect(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})
    await ada.close()

    ada = await connect("ada")
    await until(ada, "connected")
    await bob.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    await until(ada, "receive_group_message")


async def test_going_offline_does_not_leave_room(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})

    await bob.close()
    bob = await connect("bob")

    await settled(bob, ada)
    assert ada.inbox.of("user_left") == []


async def test_leave_is_announced_to_room(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})

    left = await bob.call("leave_room", {"room_id": "lobby"})

    assert left == {"ok": True, "left": True}
    event = await until(ada, "user_left")
    assert TIME.fullmatch(event.pop("left_at"))
    assert event == {"room_id": "lobby", "user_id": "bob", "member_count": 1, "reason": "left"}


async def test_leaving_without_membership_changes_nothing(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})

    left = await bob.call("leave_room", {"room_id": "lobby"})

    assert left == {"ok": True, "left": False}
    await settled(ada)
    assert ada.inbox.of("user_left") == []


async def test_former_member_gets_no_room_events_on_any_connection(connect: Connect) -> None:
    ada, bob, bobs_phone = await connect("ada"), await connect("bob"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})
    await bobs_phone.call("leave_room", {"room_id": "lobby"})

    await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    await settled(bob, bobs_phone)
    assert bob.inbox.of("receive_group_message") == []
    assert bobs_phone.inbox.of("receive_group_message") == []


async def test_room_named_like_user_channel_gets_no_personal_messages(
    connect: Connect,
) -> None:
    ada, bob, eve = await connect("ada"), await connect("bob"), await connect("eve")
    connection_id = (await until(bob, "connected"))["connection_id"]
    names = [connection_id, "bob", "user:bob", "ada:bob", "adabob", "None", "user_bob", "@bob"]
    for name in names:
        assert (await eve.call("join_room", {"room_id": name}))["ok"]

    await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})
    await ada.call("typing_start", {"to_user_id": "bob"})

    await until(bob, "typing")
    await settled(eve)
    received = {event for event, _ in eve.inbox.events if not event.startswith(":")}
    assert received == {"connected", "user_joined"}
