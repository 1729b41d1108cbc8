"""Errors (docs/wire.md, "Errors"): every code, as an acknowledgement and as an event."""

import re
from typing import Any

import attrs
import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.messaging import Draft, Stored
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import settled, until
from tests.e2e.conftest import Connect
from tests.e2e.json_client import PATH
from tests.e2e.serving import serving
from tests.stores import memory_store
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("event", "payload", "field"),
    [
        ("send_personal_message", {"to_user_id": "bob", "content": " \n\u3000"}, "content"),
        ("send_group_message", {"content": "hello"}, "room_id"),
        ("join_room", {"room_id": 7}, "room_id"),
        ("typing_start", {}, "to_user_id"),
    ],
)
async def test_invalid_field_is_rejected_by_name(
    connect: Connect, event: str, payload: dict[str, Any], field: str
) -> None:
    ada = await connect("ada")

    answer = await ada.call(event, payload)

    assert answer["ok"] is False
    assert answer["error"]["code"] == "invalid_payload"
    assert answer["error"]["field"] == field


@pytest.mark.parametrize("payload", [(), ("lobby",), ([],), (None,), ({}, {})], ids=repr)
async def test_payload_that_is_not_one_object_is_rejected(
    connect: Connect, payload: tuple[Any, ...]
) -> None:
    ada = await connect("ada")

    answer = await ada.call("join_room", *payload)

    assert answer["error"]["code"] == "invalid_payload"


async def test_unknown_fields_are_ignored(connect: Connect) -> None:
    ada = await connect("ada")

    answer = await ada.call("join_room", {"room_id": "lobby", "colour": {"deep": [1, None]}})

    assert answer["ok"]


async def test_content_over_limit_is_too_long(connect: Connect) -> None:
    ada = await connect("ada")
    command = {"to_user_id": "bob", "content": "é" * 4096}
    assert (await ada.call("send_personal_message", command))["ok"]

    answer = await ada.call("send_personal_message", command | {"content": "é" * 4097})

    assert answer["error"]["code"] == "content_too_long"
    assert answer["error"]["field"] == "content"


@pytest.mark.parametrize("event", ["shout", "", "message", "$send", "__proto__"])
async def test_unknown_command_is_rejected(connect: Connect, event: str) -> None:
    ada = await connect("ada")

    answer = await ada.call(event, {})

    assert answer["error"]["code"] == "unknown_command"


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("send_group_message", {"room_id": "lobby", "content": "hello"}),
        ("typing_start", {"room_id": "lobby"}),
        ("typing_stop", {"room_id": "lobby"}),
    ],
)
async def test_room_commands_require_membership(
    connect: Connect, event: str, payload: dict[str, Any]
) -> None:
    ada, bob = await connect("ada"), await connect("bob")
    await bob.call("join_room", {"room_id": "lobby"})

    answer = await ada.call(event, payload)

    assert answer["error"]["code"] == "not_a_member"
    await settled(bob)
    assert {event for event, _ in bob.inbox.events if not event.startswith(":")} == {
        "connected",
        "user_joined",
    }


async def test_rejection_without_acknowledgement_is_error_event(connect: Connect) -> None:
    ada = await connect("ada")

    await ada.send(
        "send_group_message",
        {"room_id": "lobby", "content": "hello", "client_message_id": "m1"},
    )

    error = await until(ada, "error")
    assert error.pop("message")
    assert error == {
        "code": "not_a_member",
        "command": "send_group_message",
        "client_message_id": "m1",
    }


async def test_error_event_has_field(connect: Connect) -> None:
    ada = await connect("ada")

    await ada.send("join_room", {"room_id": ""})

    error = await until(ada, "error")
    assert error["field"] == "room_id"
    assert error["command"] == "join_room"


async def test_connection_continues_after_rejection(connect: Connect) -> None:
    ada = await connect("ada")
    await ada.call("join_room", {"room_id": ""})

    answer = await ada.call("join_room", {"room_id": "lobby"})

    assert answer["ok"]


class TestWithTightLimits:
    """The limits that a deployment configures."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            secret_key=SECRET,
            chat_content_chars=5,
            chat_rooms_per_user=2,
            chat_memory_conversations=2,
        )

    async def test_command_above_rate_gets_retry_delay(self, connect: Connect) -> None:
        ada = await connect("ada")
        for _ in range(150):
            await ada.send("send_personal_message", {"to_user_id": "bob", "content": "hello"})

        error = await until(ada, "error")

        assert error["code"] == "rate_limited"
        assert error["command"] == "send_personal_message"
        assert 1 <= error["retry_after_ms"] <= 1000

    async def test_join_above_room_limit_is_rejected(self, connect: Connect) -> None:
        ada = await connect("ada")
        for room_id in ("one", "two"):
            assert (await ada.call("join_room", {"room_id": room_id}))["ok"]

        answer = await ada.call("join_room", {"room_id": "three"})

        assert answer["error"]["code"] == "invalid_payload"
        assert answer["error"]["field"] == "room_id"

    async def test_message_to_full_store_is_unavailable_and_not_broadcast(
        self, connect: Connect
    ) -> None:
        ada, eve = await connect("ada"), await connect("eve")
        for user in ("bob", "cid"):
            await ada.call("send_personal_message", {"to_user_id": user, "content": "hello"})

        answer = await ada.call("send_personal_message", {"to_user_id": "eve", "content": "hello"})

        assert answer["error"]["code"] == "unavailable"
        await settled(eve)
        assert eve.inbox.of("receive_personal_message") == []

    async def test_connected_has_limits(self, connect: Connect) -> None:
        ada = await connect("ada")

        connected = await until(ada, "connected")

        assert connected["limits"]["content_chars"] == 5
        answer = await ada.call("send_personal_message", {"to_user_id": "b", "content": "123456"})
        assert answer["error"]["code"] == "content_too_long"


class BrokenMessages:
    """A message log that raises an unexpected error."""

    async def append(self, draft: Draft) -> Stored:
        raise RuntimeError(f"password=hunter2 {draft.content}")

    async def last_seq(self, _conversation: object) -> int:
        return 0


class TestUnexpectedErrors:
    """An error in our own code."""

    @pytest.fixture
    async def url(self, settings: Settings) -> Any:
        store: Any = memory_store()
        deliveries, store.messages = store.messages, BrokenMessages()
        store.deliveries = deliveries
        store.capabilities = attrs.evolve(store.capabilities, append=None)
        broken: Store = store
        app = create_socketio_app(settings=settings, store=broken, websocket_path=PATH)
        async with serving(app) as base_url:
            yield base_url

    async def test_unexpected_error_is_internal_without_details(
        self, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        ada = await connect("ada")

        answer = await ada.call("send_personal_message", {"to_user_id": "bob", "content": "hello"})

        error = answer["error"]
        assert error["code"] == "internal"
        assert "hunter2" not in str(answer)
        (error_id,) = re.findall(r"[0-9a-f]{12}", error["message"])
        (record,) = [record for record in caplog.records if error_id in record.getMessage()]
        assert record.exc_info is not None
        assert (await ada.call("join_room", {"room_id": "lobby"}))["ok"]
