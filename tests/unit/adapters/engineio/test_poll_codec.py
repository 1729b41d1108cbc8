"""Limits of a polling request."""

import pytest

from socketio_app.adapters.engineio.environ import BodyTooLongError
from socketio_app.adapters.engineio.poll_codec import (
    MAX_POST_PACKETS,
    decode_message,
    max_post_bytes,
    split_packets,
)
from socketio_app.adapters.websocket import frames

MOST = 100


def test_request_has_as_many_large_packets_as_python_client_sends() -> None:
    packets = [b"x" * MOST] * MAX_POST_PACKETS

    body = b"\x1e".join(packets)

    assert split_packets(body, MOST) == packets
    assert len(body) <= max_post_bytes(MOST)


@pytest.mark.parametrize(
    "packets",
    [
        [b"x" * (MOST + 1)],
        [b"x", b"x" * (MOST + 1)],
        [b"x" * MOST] * (MAX_POST_PACKETS + 1),
        [b"x" * 10] * (MAX_POST_PACKETS + 1),
    ],
    ids=["one too large", "one of two too large", "too many of the limit", "too many in all"],
)
def test_larger_request_is_rejected(packets: list[bytes]) -> None:
    with pytest.raises(BodyTooLongError):
        split_packets(b"\x1e".join(packets), MOST)


def test_request_within_packet_limit_has_any_number_of_packets() -> None:
    assert len(split_packets(b"\x1e" * (MOST - 1), MOST)) == MOST


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        ("4é".encode(), (frames.TEXT, "4é".encode())),
        (b"4\xff", (frames.TEXT, b"")),
        (b"bAP8=", (frames.BINARY, b"\x00\xff")),
        (b"bA", (frames.TEXT, b"")),
    ],
    ids=["text", "not UTF-8", "binary", "not base 64"],
)
def test_packet_that_is_neither_utf8_nor_base64_is_empty(
    packet: bytes, message: tuple[int, bytes]
) -> None:
    assert decode_message(packet) == message
