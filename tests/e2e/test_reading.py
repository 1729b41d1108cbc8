"""History, conversations, catching up and receipts (docs/wire.md, "Reading")."""

import re
from typing import Any

import pytest

from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import Client, settled, until
from tests.e2e.conftest import Connect
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TO_BOB, TO_ADA, IN_LOBBY = {"to_user_id": "bob"}, {"to_user_id": "ada"}, {"room_id": "lobby"}


async def send_messages(
    client: Client, target: dict[str, str], *contents: str
) -> list[dict[str, Any]]:
    """Send messages; return them as stored."""
    command = "send_group_message" if "room_id" in target else "send_personal_message"
    answers = [await client.call(command, {**target, "content": each}) for each in contents]
    return [answer["message"] for answer in answers]


async def test_history_is_paginated(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    sent = await send_messages(ada, TO_BOB, *"abcde")

    newest = await bob.call("fetch_history", {**TO_ADA, "limit": 2})
    before = await bob.call("fetch_history", {**TO_ADA, "limit": 2, "before_seq": 4})
    after = await bob.call("fetch_history", {**TO_ADA, "after_seq": 3})

    assert newest == {"ok": True, "messages": sent[3:], "has_more": True, "last_seq": 5}
    assert before == {"ok": True, "messages": sent[1:3], "has_more": True, "last_seq": 5}
    assert after == {"ok": True, "messages": sent[3:], "has_more": False, "last_seq": 5}


async def test_only_members_can_read_history_of_room(connect: Connect) -> None:
    ada, eve = await connect("ada"), await connect("eve")
    await ada.call("join_room", IN_LOBBY)
    sent = await send_messages(ada, IN_LOBBY, "hello")

    rejected = await eve.call("fetch_history", IN_LOBBY)
    given = await ada.call("fetch_history", IN_LOBBY)

    assert rejected["error"]["code"] == "not_a_member"
    assert given["messages"] == sent


async def test_conversations_are_listed_with_unread_counts(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await ada.call("join_room", IN_LOBBY)
    sent = await send_messages(bob, TO_ADA, "one", "two")
    await ada.call("mark_read", {**TO_BOB, "seq": 1})

    listed = await ada.call("list_conversations", {})

    assert listed == {
        "ok": True,
        "conversations": [
            {
                **TO_BOB,
                "last_seq": 2,
                "last_message": sent[1],
                "delivered_seq": 0,
                "read_seq": 1,
                "unread_count": 1,
            },
            {
                **IN_LOBBY,
                "last_seq": 0,
                "last_message": None,
                "delivered_seq": 0,
                "read_seq": 0,
                "unread_count": 0,
            },
        ],
    }


async def test_list_of_conversations_is_paginated(connect: Connect) -> None:
    ada = await connect("ada")
    for user in ("bob", "eve", "zoe"):
        await send_messages(ada, {"to_user_id": user}, "hello")

    first = await ada.call("list_conversations", {"limit": 2})
    rest = await ada.call("list_conversations", {"limit": 2, "cursor": first["next_cursor"]})

    listed = [each["to_user_id"] for each in [*first["conversations"], *rest["conversations"]]]
    assert listed == ["zoe", "eve", "bob"]
    assert "next_cursor" not in rest


async def test_conversation_has_delivered_seq_of_other_user(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await send_messages(ada, TO_BOB, "hello")
    await until(ada, "personal_message_delivered")
    await until(bob, "receive_personal_message")

    listed = await ada.call("list_conversations", {})

    assert listed["conversations"][0]["delivered_seq"] == 1


async def test_catch_up_returns_missed_messages(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    for client in (ada, bob):
        await client.call("join_room", IN_LOBBY)
    had = await send_messages(ada, IN_LOBBY, "had")
    await until(bob, "receive_group_message")
    epoch = (await until(bob, "connected"))["epoch"]
    await bob.close()
    in_lobby = await send_messages(ada, IN_LOBBY, "a", "b")
    to_bob = await send_messages(ada, TO_BOB, "c")
    bob = await connect("bob")

    positions = [{"target": IN_LOBBY, "seq": had[0]["seq"]}]
    caught_up = await bob.call("catch_up", {"epoch": epoch, "positions": positions})

    assert caught_up == {
        "ok": True,
        "recovered": True,
        "conversations": [
            {"target": TO_ADA, "messages": to_bob, "limited": False, "last_seq": 1, "read_seq": 0},
            {
                "target": IN_LOBBY,
                "messages": in_lobby,
                "limited": False,
                "last_seq": 3,
                "read_seq": 0,
            },
        ],
        "has_more": False,
        "since": caught_up["since"],
    }


async def test_catch_up_continues_from_cursor(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await send_messages(ada, TO_BOB, "had")
    since = (await until(bob, "connected"))["since"]
    nothing = await bob.call(
        "catch_up", {"since": since, "positions": [{"target": TO_ADA, "seq": 1}]}
    )
    await bob.close()
    (missed,) = await send_messages(ada, TO_BOB, "missed")
    bob = await connect("bob")

    caught_up = await bob.call("catch_up", {"since": nothing["since"]})
    again = await bob.call("catch_up", {"since": caught_up["since"]})

    assert (nothing["conversations"], nothing["has_more"]) == ([], False)
    assert [each["messages"] for each in caught_up["conversations"]] == [[missed]]
    assert (again["conversations"], again["has_more"]) == ([], False)


async def test_truncated_conversation_is_marked_limited(connect: Connect) -> None:
    ada = await connect("ada")
    sent = await send_messages(ada, TO_BOB, *"abc")
    epoch = (await until(ada, "connected"))["epoch"]

    caught_up = await ada.call("catch_up", {"epoch": epoch, "positions": [], "limit": 2})

    (missed,) = caught_up["conversations"]
    assert (missed["messages"], missed["limited"]) == (sent[1:], True)


async def test_positions_from_another_epoch_are_not_recovered(connect: Connect) -> None:
    ada = await connect("ada")
    await send_messages(ada, TO_BOB, "hello")

    answer = await ada.call("catch_up", {"epoch": "of yore", "positions": []})

    assert answer == {"ok": True, "recovered": False}


async def test_read_receipt_reaches_other_user_and_own_devices(connect: Connect) -> None:
    ada, bob, bobs_phone = await connect("ada"), await connect("bob"), await connect("bob")
    await send_messages(ada, TO_BOB, "one", "two")

    answer = await bob.call("mark_read", {**TO_ADA, "seq": 2})

    assert answer == {"ok": True, "read_seq": 2}
    read = await until(ada, "message_read")
    assert read == await until(bobs_phone, "message_read")
    assert TIME.fullmatch(read.pop("read_at"))
    assert read == {"user_id": "bob", **TO_ADA, "seq": 2}
    await settled(bob)
    assert bob.inbox.of("message_read") == []


async def test_read_receipt_in_room_reaches_members(connect: Connect) -> None:
    ada, bob, eve = await connect("ada"), await connect("bob"), await connect("eve")
    for client in (ada, bob):
        await client.call("join_room", IN_LOBBY)
    await send_messages(ada, IN_LOBBY, "hello")

    await bob.call("mark_read", {**IN_LOBBY, "seq": 1})

    read = await until(ada, "message_read")
    assert (read["user_id"], read["room_id"], read["seq"]) == ("bob", "lobby", 1)
    await settled(eve)
    assert eve.inbox.of("message_read") == []


async def test_read_marker_moves_forward_only(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await send_messages(ada, TO_BOB, "one", "two")

    answers = [await bob.call("mark_read", {**TO_ADA, "seq": seq}) for seq in (2, 1, 99)]

    assert [answer["read_seq"] for answer in answers] == [2, 2, 2]
    await settled(ada)
    assert len(ada.inbox.of("message_read")) == 1


async def test_read_command_above_rate_gets_retry_delay(connect: Connect) -> None:
    ada = await connect("ada")
    for _ in range(400):
        await ada.send("list_conversations", {})

    error = await until(ada, "error")

    assert (error["code"], error["command"]) == ("rate_limited", "list_conversations")


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    too_fast = request.function is test_read_command_above_rate_gets_retry_delay
    return Settings(secret_key=SECRET, rate_limits=too_fast)


async def test_maximum_number_of_positions_fits_in_frame(connect: Connect) -> None:
    ada = await connect("ada")
    connected = await until(ada, "connected")
    others = [f"{number:03}".ljust(128, "\N{GRINNING FACE}") for number in range(500)]
    positions = [{"target": {"to_user_id": other}, "seq": 2**53} for other in others]

    allowed = positions[: connected["limits"]["catch_up_positions"]]
    answer = await ada.call("catch_up", {"epoch": connected["epoch"], "positions": allowed})

    del answer["since"]
    assert answer == {"ok": True, "recovered": True, "conversations": [], "has_more": False}
