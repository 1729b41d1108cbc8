"""Sending and receiving (docs/wire.md, "Commands" and "Events")."""

import re

import pytest

from tests.e2e.clients import settled, until
from tests.e2e.conftest import Connect

pytestmark = pytest.mark.anyio

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_personal_message_reaches_all_connections_of_recipient(
    connect: Connect,
) -> None:
    ada, bob, bobs_phone = await connect("ada"), await connect("bob"), await connect("bob")

    sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})

    assert await until(bob, "receive_personal_message") == sent["message"]
    assert await until(bobs_phone, "receive_personal_message") == sent["message"]


async def test_personal_message_reaches_senders_other_connections_only(
    connect: Connect,
) -> None:
    ada, adas_phone = await connect("ada"), await connect("ada")
    await connect("bob")

    sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})

    assert await until(adas_phone, "receive_personal_message") == sent["message"]
    await settled(ada)
    assert ada.inbox.of("receive_personal_message") == []


async def test_personal_message_reaches_no_other_user(connect: Connect) -> None:
    ada, bob, eve = await connect("ada"), await connect("bob"), await connect("eve")

    await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})

    await until(bob, "receive_personal_message")
    await settled(eve)
    assert eve.inbox.of("receive_personal_message") == []


async def test_personal_message_has_all_fields(connect: Connect) -> None:
    ada = await connect("ada")

    sent = await ada.call(
        "send_personal_message",
        {"to_user_id": "bob", "content": "hello", "client_message_id": "m1"},
    )

    message = sent["message"]
    assert sent == {"ok": True, "message": message, "duplicate": False}
    assert UUID7.fullmatch(message.pop("message_id"))
    assert TIME.fullmatch(message.pop("created_at"))
    assert message == {
        "seq": 1,
        "from_user_id": "ada",
        "to_user_id": "bob",
        "content": "hello",
        "client_message_id": "m1",
    }


async def test_message_to_self_reaches_all_own_connections(connect: Connect) -> None:
    ada, adas_phone = await connect("ada"), await connect("ada")

    sent = await ada.call("send_personal_message", {"to_user_id": "ada", "content": "milk"})

    assert await until(ada, "receive_personal_message") == sent["message"]
    assert await until(adas_phone, "receive_personal_message") == sent["message"]


async def test_group_message_reaches_all_connections_of_members_except_sending_one(
    connect: Connect,
) -> None:
    ada, adas_phone, bob = await connect("ada"), await connect("ada"), await connect("bob")
    await ada.call("join_room", {"room_id": "lobby"})
    await bob.call("join_room", {"room_id": "lobby"})

    sent = await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    assert await until(bob, "receive_group_message") == sent["message"]
    assert await until(adas_phone, "receive_group_message") == sent["message"]
    await settled(ada)
    assert ada.inbox.of("receive_group_message") == []


async def test_group_message_has_all_fields(connect: Connect) -> None:
    ada = await connect("ada")
    await ada.call("join_room", {"room_id": "lobby"})

    sent = await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    message = sent["message"]
    assert sent == {"ok": True, "message": message, "duplicate": False}
    assert UUID7.fullmatch(message.pop("message_id"))
    assert TIME.fullmatch(message.pop("created_at"))
    assert message == {"seq": 1, "from_user_id": "ada", "room_id": "lobby", "content": "hello"}


async def test_group_message_reaches_members_only(connect: Connect) -> None:
    ada, eve = await connect("ada"), await connect("eve")
    await ada.call("join_room", {"room_id": "lobby"})
    await eve.call("join_room", {"room_id": "elsewhere"})

    await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})

    await settled(eve)
    assert eve.inbox.of("receive_group_message") == []


async def test_content_is_delivered_unchanged(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    content = ' \u0000\t"\\\u2028 <b>né</b> 👩‍👩‍👧 \u202eabc\r\n '

    await ada.call("send_personal_message", {"to_user_id": "bob", "content": content})

    received = await until(bob, "receive_personal_message")
    assert received["content"] == content


async def test_integer_user_id_is_converted_to_decimal_string(connect: Connect) -> None:
    ada, seven = await connect("ada"), await connect("7")

    sent = await ada.call("send_personal_message", {"to_user_id": 7, "content": "hello"})

    assert sent["message"]["to_user_id"] == "7"
    assert await until(seven, "receive_personal_message") == sent["message"]


async def test_retry_is_acknowledged_with_first_message_and_not_broadcast(
    connect: Connect,
) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    command = {"to_user_id": "bob", "content": "hello", "client_message_id": "m1"}
    first = await ada.call("send_personal_message", command)

    retry = await ada.call("send_personal_message", command)

    assert retry == {"ok": True, "message": first["message"], "duplicate": True}
    await until(ada, "personal_message_delivered")
    await settled(bob, ada)
    assert bob.inbox.of("receive_personal_message") == [first["message"]]
    assert len(ada.inbox.of("personal_message_delivered")) == 1


async def test_retry_with_other_content_is_conflict(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    command = {"to_user_id": "bob", "content": "hello", "client_message_id": "m1"}
    first = await ada.call("send_personal_message", command)

    rejected = await ada.call("send_personal_message", {**command, "content": "another"})

    assert not rejected["ok"]
    assert rejected["error"]["code"] == "conflict"
    assert rejected["error"]["field"] == "client_message_id"
    await settled(bob, ada)
    assert bob.inbox.of("receive_personal_message") == [first["message"]]


async def test_delivery_is_reported_to_all_connections_of_sender(connect: Connect) -> None:
    ada, adas_phone = await connect("ada"), await connect("ada")
    await connect("bob")

    sent = await ada.call(
        "send_personal_message",
        {"to_user_id": "bob", "content": "hello", "client_message_id": "m1"},
    )

    delivered = await until(ada, "personal_message_delivered")
    assert await until(adas_phone, "personal_message_delivered") == delivered
    assert TIME.fullmatch(delivered.pop("delivered_at"))
    assert delivered == {
        "message_id": sent["message"]["message_id"],
        "client_message_id": "m1",
        "to_user_id": "bob",
        "seq": 1,
    }


async def test_message_to_offline_user_is_delivered_when_they_reconnect(
    connect: Connect,
) -> None:
    ada = await connect("ada")
    sent = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})
    await settled(ada)
    assert ada.inbox.of("personal_message_delivered") == []

    bob = await connect("bob")

    assert await until(bob, "receive_personal_message") == sent["message"]
    delivered = await until(ada, "personal_message_delivered")
    assert delivered["message_id"] == sent["message"]["message_id"]
    assert [event for event, _ in bob.inbox.events if not event.startswith(":")] == [
        "connected",
        "receive_personal_message",
    ]


async def test_delivered_message_is_not_pushed_again(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})
    await until(ada, "personal_message_delivered")
    await bob.close()

    bob = await connect("bob")

    await settled(bob)
    assert bob.inbox.of("receive_personal_message") == []


async def test_sender_is_notified_of_delivery_to_room(
    connect: Connect,
) -> None:
    ada, adas_phone = await connect("ada"), await connect("ada")
    await ada.call("join_room", {"room_id": "lobby"})

    sent = await ada.call(
        "send_group_message", {"room_id": "lobby", "content": "hello", "client_message_id": "m1"}
    )

    delivered = await until(ada, "group_message_delivered")
    assert await until(adas_phone, "group_message_delivered") == delivered
    assert TIME.fullmatch(delivered.pop("delivered_at"))
    assert delivered == {
        "message_id": sent["message"]["message_id"],
        "client_message_id": "m1",
        "room_id": "lobby",
        "seq": 1,
    }


async def test_burst_of_messages_arrives_completely_in_order(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    for client in (ada, bob):
        await client.call("join_room", {"room_id": "lobby"})
    contents = [f"message {number}" for number in range(300)]

    for content in contents:
        await ada.send("send_group_message", {"room_id": "lobby", "content": content})

    await until(bob, "receive_group_message", count=300)
    received = bob.inbox.of("receive_group_message")
    assert [message["content"] for message in received] == contents
    assert [message["seq"] for message in received] == list(range(1, 301))


async def test_commands_take_effect_in_order(connect: Connect) -> None:
    ada = await connect("ada")

    for number in range(20):
        await ada.send("join_room", {"room_id": f"room{number}"})
        await ada.send("send_group_message", {"room_id": f"room{number}", "content": "hello"})
        await ada.send("leave_room", {"room_id": f"room{number}"})
    await settled(ada)

    assert ada.inbox.of("error") == []
    assert len(ada.inbox.of("group_message_delivered")) == 20
