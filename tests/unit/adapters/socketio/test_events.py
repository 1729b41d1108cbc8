"""Packets are parsed without decoding data that is rejected or ignored."""

import pytest

from socketio_app.adapters.socketio.events import event_of, plain_event_of
from socketio_app.adapters.socketio.packets import MalformedPacketError, auth_of, packet_of
from socketio_app.adapters.wire.incoming import RoomPayload
from socketio_app.domain.errors import InvalidPayload

COSTLY = {
    "numbers": b"[" + b",".join([b"1e300"] * 10_000) + b"]",
    "an integer": b"9" * 60_000,
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(6000)) + b"}",
    "nesting": b"[" * 900 + b"]" * 900,
}
costly = pytest.mark.parametrize("payload", COSTLY.values(), ids=COSTLY)


@costly
def test_payload_of_unknown_command_is_not_decoded(payload: bytes) -> None:
    event = plain_event_of(b'427["nonsense",' + payload + b"]")

    assert event is not None
    assert (event.ack_id, event.name, event.payloads) == (7, "nonsense", ())


@costly
def test_unknown_field_is_not_decoded(payload: bytes) -> None:
    event = plain_event_of(b'42["join_room",{"colour":%s,"room_id":"lobby"}]' % payload)

    assert event is not None
    assert list(event.payloads) == [RoomPayload("lobby")]


@costly
def test_decoding_ends_at_first_field_of_wrong_type(payload: bytes) -> None:
    event = plain_event_of(b'42["join_room",{"room_id":' + payload + b"}]")

    assert event is not None
    assert event.payloads == ()
    assert event.wrong is not None
    assert event.wrong.field == "room_id"


@costly
def test_payload_that_is_not_one_object_is_rejected(payload: bytes) -> None:
    if payload.startswith(b"{"):
        payload = b"[" + payload + b"]"

    event = plain_event_of(b'42["join_room",' + payload + b"]")

    assert event is not None
    assert event.wrong is not None
    assert event.wrong.field is None


def test_too_deeply_nested_payload_is_unreadable() -> None:
    event = event_of(None, b'["join_room",{"deep":' + b"[" * 30_000 + b"]" * 30_000 + b"}]")

    assert event is not None
    assert not event.is_readable


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (b'["join\\u005froom",{"room_id":"lobby"}]', "join_room"),
        (b'[ "join_room" , {"room_id":"lobby"}]', "join_room"),
        (b' [ "join_room" , {"room_id":"lobby"} ] ', "join_room"),
        (b'["sh\\"out\\\\",{}]', 'sh"out\\'),
        (b"[17,{}]", "17"),
        (b'["\\ud800",{}]', "\ud800"),
        (b'["shout"]', "shout"),
    ],
)
def test_escaped_event_name_is_decoded(array: bytes, name: str) -> None:
    event = event_of(None, array)

    assert event is not None
    assert event.name == name


@pytest.mark.parametrize(
    "array",
    [
        b"[]",
        b"{}",
        b'["join_room"',
        b"[true]",
        b"[1.5,{}]",
        b'["join_room",NaN]',
        b'["shout",NaN]',
        b'["shout",{"a":}]',
        b"[" * 30_000,
        b'["shout',
        b'["join_room",{"room_id":"\\ud800"},NaN]',
        b'[0join_room",{}]',
        b'[{join_room",{}]',
    ],
    ids=lambda array: repr(array[:40]),
)
def test_data_that_is_not_array_with_name_is_malformed(array: bytes) -> None:
    assert event_of(None, array) is None


@pytest.mark.parametrize("rest", [b"", b",7", b",null", b',{"room_id":"a"},1'])
def test_event_without_single_object_says_what_a_payload_is(rest: bytes) -> None:
    event = event_of(None, b'["join_room"%s]' % rest)

    assert event is not None
    with pytest.raises(InvalidPayload, match="the payload must be a single JSON object"):
        event.command()


def test_field_with_lone_surrogate_is_rejected_by_name() -> None:
    event = event_of(None, b'["send_personal_message",{"to_user_id":"bob","content":"\\ud83d"}]')

    assert event is not None
    assert list(event.payloads) == [{"to_user_id": "bob", "content": "\ud83d"}]


def test_large_event_with_lone_surrogate_is_not_decoded() -> None:
    event = event_of(None, b'["join_room",{"room_id":"\\ud800"},%s]' % COSTLY["numbers"])

    assert event is not None
    assert (event.payloads, event.is_readable) == ((), False)


@pytest.mark.parametrize("given", [b'"m1"', b'"\\u006d1"'])
def test_rejected_event_is_identified_by_client_message_id(given: bytes) -> None:
    array = b'["send_personal_message",{"client_message_id":%s,"content":7}]' % given

    event = event_of(None, array)

    assert event is not None
    assert list(event.identified) == [{"client_message_id": "m1"}]


@pytest.mark.parametrize(
    "given", [b"7", b"null", COSTLY["numbers"], b'"' + b"x" * 60_000 + b'"'], ids=range(4)
)
def test_invalid_client_message_id_is_not_decoded(given: bytes) -> None:
    event = event_of(None, b'["shout",{"client_message_id":%s}]' % given)

    assert event is not None
    assert list(event.identified) == []


class TestPackets:
    @pytest.mark.parametrize(
        ("encoded", "parts"),
        [
            (b"0", (0, 0, None, None, b"")),
            (b'0{"token":"t"}', (0, 0, None, None, b'{"token":"t"}')),
            (b"0/admin,{}", (0, 0, "/admin", None, b"{}")),
            (b"0/admin?a=b,{}", (0, 0, "/admin", None, b"{}")),
            (b"1/admin", (1, 0, "/admin", None, b"")),
            (b'2/,7["x"]', (2, 0, "/", 7, b'["x"]')),
            (b'517-/a,42["x"]', (5, 17, "/a", 42, b'["x"]')),
            (b'3123["x"]', (3, 0, None, 123, b'["x"]')),
            (b'2{"a-b":1}', (2, 0, None, None, b'{"a-b":1}')),
        ],
    )
    def test_header_is_decoded_and_data_is_not(
        self, encoded: bytes, parts: tuple[object, ...]
    ) -> None:
        packet = packet_of(encoded)

        assert parts == (
            packet.kind,
            packet.attachment_count,
            packet.namespace,
            packet.ack_id,
            packet.data,
        )

    @pytest.mark.parametrize("encoded", [b"", b"7", b"x", b"2" + b"1" * 101 + b"[]"], ids=repr)
    def test_packet_without_header_is_malformed(self, encoded: bytes) -> None:
        with pytest.raises(MalformedPacketError):
            packet_of(encoded)

    @pytest.mark.parametrize(
        ("data", "token"),
        [
            (b'{"token":"t","more":%s}' % COSTLY["numbers"], "t"),
            (b'{"token":7}', None),
            (b'"t"', None),
            (b"{}", None),
            (b'{"token":"\\ud800"}', None),
            (b"[" * 5000 + b"]" * 5000, None),
        ],
        ids=range(6),
    )
    def test_only_token_of_auth_is_decoded(self, data: bytes, token: str | None) -> None:
        auth = auth_of(data)

        assert (auth and auth["token"]) == token

    def test_auth_that_is_not_json_is_malformed(self) -> None:
        with pytest.raises(MalformedPacketError):
            auth_of(b'{"token":')
