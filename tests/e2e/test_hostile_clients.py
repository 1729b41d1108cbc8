"""Invalid input costs a client an error reply, or its own connection."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socketio_app.adapters.socketio.session import MAX_IGNORED_PACKETS
from socketio_app.adapters.wire.registry import COMMANDS
from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.raw_client import RawWebSocket, raw_websocket
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET, token


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = create_socketio_app(settings=Settings(secret_key=SECRET, rate_limits=False))
    with serving_in_a_thread(app) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def eve(url: str) -> Iterator[RawWebSocket]:
    with raw_websocket(url, "eve") as connection:
        yield connection


def works(connection: RawWebSocket) -> bool:
    """Return whether a connection still executes commands."""
    answer = connection.ask('["join_room",{"room_id":"lobby"}]')
    return bool(answer["ok"])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
fields = ["room_id", "to_user_id", "content", "client_message_id"]
plausible = st.sampled_from(["lobby", "eve", "x" * 129, "\ud800", "", " ", "a b", 7, -1, 2**70])
payloads = st.dictionaries(st.sampled_from(fields) | st.text(), plausible | json_values) | (
    json_values
)


@given(event=st.sampled_from([*COMMANDS, "connect", "disconnect", "x"]), payload=payloads)
@settings(max_examples=300)
def test_any_payload_gets_one_reply_and_connection_continues(
    eve: RawWebSocket, event: str, payload: Any
) -> None:
    answer = eve.ask(json.dumps([event, payload]))

    assert answer["ok"] or answer["error"]["code"] in {
        "invalid_payload",
        "unknown_command",
        "not_a_member",
        "conflict",
    }
    assert works(eve)


@pytest.mark.parametrize(
    "text",
    [
        '["join_room",' + "[" * 20_000 + "]" * 20_000 + "]",
        '["join_room",{"room_id":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}]",
        '["send_personal_message",{"to_user_id":' + "9" * 5_000 + ',"content":"hello"}]',
        '["send_personal_message",{"to_user_id":1e999,"content":"hello"}]',
        r'["send_personal_message",{"to_user_id":"bob","content":"\ud83d"}]',
        r'["send_personal_message",{"to_user_id":"\udc00","content":"hello"}]',
        r'["send_personal_message",{"to_user_id":"b","content":"hello","client_message_id":"\ud800"}]',
        r'["join_room",{"room_id":"lobby","\ud800":1}]',
        r'["catch_up",{"epoch":"e","positions":[{"target":{"\ud800":"lobby"},"seq":1}]}]',
        r'["\ud800",{}]',
        '["join_room",{"room_id":"lobby"},{"room_id":"lobby"}]',
    ],
    ids=[
        "deep array",
        "deep object",
        "enormous integer",
        "infinite number",
        "lone surrogate in content",
        "lone surrogate in an id",
        "lone surrogate in a client_message_id",
        "lone surrogate in the name of a field",
        "lone surrogate in the name of a field of a field",
        "lone surrogate in the event's name",
        "two payloads",
    ],
)
def test_any_other_json_is_rejected_and_connection_continues(eve: RawWebSocket, text: str) -> None:
    answer = eve.ask(text)

    assert answer["error"]["code"] in {"invalid_payload", "unknown_command"}
    assert works(eve)


def test_binary_content_is_rejected_and_connection_continues(eve: RawWebSocket) -> None:
    eve.send('451-9000["join_room",{"room_id":{"_placeholder":true,"num":0}}]')
    eve.send(b"lobby")

    answer = json.loads(str(eve.receive()).removeprefix("439000"))[0]

    assert answer["error"]["code"] == "invalid_payload"
    assert works(eve)


@pytest.mark.parametrize(
    "frame",
    [
        "4",
        "49",
        "4x",
        '42["join_room"',
        "42{}",
        "42[]",
        "42[{}]",
        "42",
        '42/admin,["join_room",{"room_id":"lobby"}]',
        "44{}",
        '451000000-["join_room",{}]',
        "4[1]",
        "4true",
        '42["join_room",NaN]',
        b"bytes",
    ],
    ids=repr,
)
def test_malformed_packet_closes_only_its_connection(
    url: str, eve: RawWebSocket, frame: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with raw_websocket(url, "mallory") as mallory:
        mallory.send(frame)

        assert mallory.is_closed_by_server()

    assert works(eve)
    assert [record for record in caplog.records if record.exc_info] == []


def test_data_of_acknowledgement_is_not_decoded(eve: RawWebSocket) -> None:
    eve.send("437[nonsense")
    eve.send("43" + "[" * 30_000)

    assert works(eve)


def test_packets_behind_rejected_connect_are_dropped(url: str) -> None:
    with raw_websocket(url, None) as stranger:
        stranger.send('40{"token":"nonsense"}')
        for packet in ('42["join_room",', "43[", "41", "49", '451-["x"'):
            stranger.send(packet)
        stranger.send('40{"token":"%s"}' % token("bob"))

        assert str(stranger.receive()).startswith("44{")
        assert str(stranger.receive()).startswith("40{")


def test_too_many_packets_behind_rejected_connect_close_connection(url: str) -> None:
    with raw_websocket(url, None) as stranger:
        stranger.send('40{"token":"nonsense"}')
        for _ in range(MAX_IGNORED_PACKETS + 1):
            stranger.send("43[]")

        assert stranger.is_closed_by_server()


def test_nothing_is_handled_or_delivered_before_authentication(url: str, eve: RawWebSocket) -> None:
    with raw_websocket(url, None) as stranger:
        stranger.send('40{"token":"nonsense"}')
        stranger.send('421["join_room",{"room_id":"lobby"}]')
        stranger.send('42["send_group_message",{"room_id":"lobby","content":"hello"}]')
        stranger.send('40{"token":"more nonsense"}')

        for _ in range(2):
            frame = str(stranger.receive())
            assert frame.startswith("44{")
            assert json.loads(frame[2:])["data"]["code"] == "unauthenticated"
