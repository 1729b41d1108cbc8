"""Connecting (docs/wire.md, "Connecting")."""

import time

import pytest

from tests.e2e.clients import Rejected, settled, until
from tests.e2e.conftest import Connect
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio


async def test_token_in_auth_authenticates_user(connect: Connect) -> None:
    ada = await connect("ada")

    connected = await until(ada, "connected")

    assert connected["user_id"] == "ada"


async def test_bearer_token_in_header_authenticates_user(connect: Connect) -> None:
    ada = await connect("ada", extraHeaders={"Authorization": f"Bearer {token('ada')}"})

    connected = await until(ada, "connected")

    assert connected["user_id"] == "ada"


async def test_token_in_query_string_is_ignored(connect: Connect) -> None:
    with pytest.raises(Rejected) as rejected:
        await connect("ada", query={"token": token("ada")}, auth={})

    assert rejected.value.data["code"] == "unauthenticated"


async def test_client_without_token_is_rejected(connect: Connect) -> None:
    with pytest.raises(Rejected) as rejected:
        await connect("ada", auth={})

    assert rejected.value.data["code"] == "unauthenticated"


async def test_invalid_token_is_rejected_without_details(connect: Connect) -> None:
    header, claims, _ = token("ada").split(".")
    *_, other_signature = token("bob").split(".")

    with pytest.raises(Rejected) as rejected:
        await connect("ada", auth={"token": f"{header}.{claims}.{other_signature}"})

    assert rejected.value.data == {
        "code": "unauthenticated",
        "message": "the token is not valid",
    }


async def test_expired_token_is_rejected_as_expired(connect: Connect) -> None:
    ended = token("ada", exp=int(time.time()) - 60)

    with pytest.raises(Rejected) as rejected:
        await connect("ada", auth={"token": ended})

    assert rejected.value.data["code"] == "token_expired"


async def test_connected_is_first_event_and_describes_connection(connect: Connect) -> None:
    ada = await connect("ada", auth={"token": token("ada", exp=int(time.time()) + 60)})

    connected = await until(ada, "connected")

    first = next(event for event, _ in ada.inbox.events if not event.startswith(":"))
    assert first == "connected"
    assert set(connected) == {
        "user_id",
        "connection_id",
        "epoch",
        "server_time",
        "token_expires_at",
        "limits",
        "since",
    }
    assert connected["server_time"] < connected["token_expires_at"]
    assert connected["limits"] == {
        "content_chars": 4096,
        "user_id_chars": 128,
        "room_id_chars": 128,
        "client_message_id_chars": 64,
        "rooms_per_user": 1000,
        "page_messages": 200,
        "catch_up_positions": 39,
        "typing_ttl_ms": 8000,
        "typing_renew_ms": 3000,
    }


async def test_connections_to_same_store_get_same_epoch(connect: Connect) -> None:
    ada, bob = await connect("ada"), await connect("bob")

    epochs = {(await until(client, "connected"))["epoch"] for client in (ada, bob)}

    assert len(epochs) == 1


async def test_each_connection_of_user_has_own_id(connect: Connect) -> None:
    devices = [await connect("ada") for _ in range(3)]

    ids = {(await until(device, "connected"))["connection_id"] for device in devices}

    assert len(ids) == 3


async def test_rejected_client_gets_no_messages(connect: Connect) -> None:
    ada = await connect("ada")
    await ada.call("join_room", {"room_id": "lobby"})

    with pytest.raises(Rejected):
        await connect("bob", auth={"token": SECRET})
    answer = await ada.call("send_group_message", {"room_id": "lobby", "content": "hello"})
    await settled(ada)

    assert answer["ok"]
    assert [event for event, _ in ada.inbox.events if event == "user_joined"] == ["user_joined"]
