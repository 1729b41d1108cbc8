"""How much one polling request may hold."""

import pytest

from socketio_app.adapters.socketio.polling import MAX_POST_PACKETS, max_post_bytes, packets_in
from socketio_app.adapters.socketio.requests import TooLongError

MOST = 100


def test_a_request_may_have_as_many_packets_of_the_limit_as_pythons_client_sends() -> None:
    packets = [b"x" * MOST] * MAX_POST_PACKETS

    body = b"\x1e".join(packets)

    assert packets_in(body, MOST) == packets
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
def test_larger_requests_are_rejected(packets: list[bytes]) -> None:
    with pytest.raises(TooLongError):
        packets_in(b"\x1e".join(packets), MOST)


def test_a_request_within_the_limit_of_one_packet_may_have_any_number() -> None:
    assert len(packets_in(b"\x1e" * (MOST - 1), MOST)) == MOST
