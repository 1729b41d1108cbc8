"""Frames (RFC 6455, section 5), compared with another implementation."""

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.frames import CloseFinder, FrameError, FrameReader

MOST = 1000


def masked(opcode: Opcode, payload: bytes, *, final: bool = True) -> bytes:
    return Frame(opcode, payload, final).serialize(mask=True)


def read(data: bytes, max_bytes: int = MOST) -> list[tuple[int, bytes]]:
    reader = FrameReader(max_bytes)
    found = reader.feed(data)
    if reader.error is not None:
        raise reader.error
    return found


messages = st.one_of(
    st.tuples(st.just(Opcode.TEXT), st.text(max_size=100).map(str.encode)),
    st.tuples(st.just(Opcode.BINARY), st.binary(max_size=300)),
)


@given(sent=st.lists(messages), sizes=st.lists(st.integers(1, 50)))
def test_messages_are_assembled_from_arbitrary_pieces(
    sent: list[tuple[Opcode, bytes]], sizes: list[int]
) -> None:
    data = b"".join(masked(*message) for message in sent)
    reader = FrameReader(MOST)
    found: list[tuple[int, bytes]] = []

    for size in sizes:
        piece, data = data[:size], data[size:]
        found += reader.feed(piece)
    found += reader.feed(data)

    assert found == sent


@given(fragments=st.lists(st.binary(max_size=20), min_size=2))
def test_fragmented_message_with_interleaved_pings_is_assembled(fragments: list[bytes]) -> None:
    first, *rest = fragments
    data = masked(Opcode.BINARY, first, final=False)
    for number, fragment in enumerate(rest):
        data += masked(Opcode.PING, b"")
        data += masked(Opcode.CONT, fragment, final=number == len(rest) - 1)

    pings = [(frames.PING, b"")] * len(rest)
    assert read(data) == [*pings, (frames.BINARY, b"".join(fragments))]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_server_frame_has_shortest_length_encoding(size: int) -> None:
    payload = b"x" * size

    whole = frames.frame(frames.TEXT, payload)

    assert whole == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert frames.contents(whole) == (frames.TEXT, payload)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_client_frame_of_any_length_is_read(size: int) -> None:
    assert read(masked(Opcode.TEXT, b"x" * size), 100_000) == [(frames.TEXT, b"x" * size)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.TEXT, b"hello!").serialize(mask=False), frames.PROTOCOL_ERROR),
        (b"\xc1" + masked(Opcode.TEXT, b"hello")[1:], frames.PROTOCOL_ERROR),
        (b"\x83" + masked(Opcode.TEXT, b"hello")[1:], frames.PROTOCOL_ERROR),
        (masked(Opcode.CONT, b"of nothing"), frames.PROTOCOL_ERROR),
        (b"\x09" + masked(Opcode.PING, b"in parts")[1:], frames.PROTOCOL_ERROR),
        (b"\x89" + masked(Opcode.TEXT, b"x" * 126)[1:], frames.PROTOCOL_ERROR),
        (
            masked(Opcode.TEXT, b"a", final=False) + masked(Opcode.TEXT, b"b"),
            frames.PROTOCOL_ERROR,
        ),
        (masked(Opcode.TEXT, b"x" * 1001), frames.MESSAGE_TOO_BIG),
        (b"\x81\xff" + (2**62).to_bytes(8, "big") + b"mask", frames.MESSAGE_TOO_BIG),
        (
            masked(Opcode.TEXT, b"x" * 600, final=False) + masked(Opcode.CONT, b"x" * 600),
            frames.MESSAGE_TOO_BIG,
        ),
        (masked(Opcode.TEXT, b"\xff"), frames.INVALID_DATA),
        (
            masked(Opcode.TEXT, b"\xc3", final=False) + masked(Opcode.CONT, b"("),
            frames.INVALID_DATA,
        ),
        (b"\x81\xfe\x00\x05mask-five", frames.PROTOCOL_ERROR),
        (b"\x81\xff" + (126).to_bytes(8, "big") + b"mask" + b"x" * 126, frames.PROTOCOL_ERROR),
        (b"\x81\x05", frames.PROTOCOL_ERROR),
        (masked(Opcode.CLOSE, b"\x03"), frames.PROTOCOL_ERROR),
        (masked(Opcode.CLOSE, (1005).to_bytes(2, "big")), frames.PROTOCOL_ERROR),
        (masked(Opcode.CLOSE, (1000).to_bytes(2, "big") + b"\xff"), frames.INVALID_DATA),
    ],
    ids=[
        "no mask",
        "reserved bit",
        "no such opcode",
        "continuation of nothing",
        "ping in fragments",
        "long ping",
        "message within a message",
        "too large",
        "announced too large",
        "too large in fragments",
        "not utf-8",
        "not utf-8 in fragments",
        "length in two bytes that fits in one",
        "length in eight bytes that fits in two",
        "no mask, incomplete",
        "close with half a code",
        "close with a code that is never sent",
        "close with a reason that is not utf-8",
    ],
)
def test_protocol_violation_is_rejected(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as rejected:
        read(data)

    assert rejected.value.code == code


def test_frames_before_violation_are_read() -> None:
    reader = FrameReader(MOST)

    assert reader.feed(masked(Opcode.TEXT, b"good") + b"\x83\x80mask") == [(frames.TEXT, b"good")]
    assert reader.error is not None


def test_character_can_be_split_between_fragments() -> None:
    data = masked(Opcode.TEXT, b"\xc3", final=False) + masked(Opcode.CONT, b"\xa9")

    assert read(data) == [(frames.TEXT, "é".encode())]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_frame_with_code_is_read(code: int) -> None:
    payload = code.to_bytes(2, "big") + "à bientôt".encode()

    assert read(masked(Opcode.CLOSE, payload)) == [(frames.CLOSE, payload)]


def test_interleaved_ping_does_not_count_towards_message_size() -> None:
    data = masked(Opcode.TEXT, b"x" * MOST, final=False)
    data += masked(Opcode.PING, b"?") + masked(Opcode.CONT, b"")

    assert read(data) == [(frames.PING, b"?"), (frames.TEXT, b"x" * MOST)]


def test_number_of_frames_read_at_once_is_limited() -> None:
    reader = FrameReader(MOST)
    data = masked(Opcode.PONG, b"") * (2 * frames.MAX_FRAMES_PER_FEED + 1)

    fed = [(len(reader.feed(part)), reader.has_more) for part in (data, b"", b"")]

    assert fed == [
        (frames.MAX_FRAMES_PER_FEED, True),
        (frames.MAX_FRAMES_PER_FEED, True),
        (1, False),
    ]


def test_empty_fragments_use_no_memory() -> None:
    reader = FrameReader(MOST)
    reader.feed(masked(Opcode.TEXT, b"", final=False))

    assert not reader.feed(masked(Opcode.CONT, b"", final=False) * 200)
    assert reader.error is None

    assert not reader._fragments


@pytest.mark.parametrize("length", [0, 125, 126, 0xFFFF, 0x10000])
def test_contents_of_frame_are_opcode_and_payload(length: int) -> None:
    assert frames.contents(frames.frame(frames.TEXT, b"x" * length)) == (frames.TEXT, b"x" * length)


@pytest.mark.parametrize("length", [0, 125, 126, 0xFFFF, 0x10000])
def test_joined_frames_are_rejected_as_frame(length: int) -> None:
    frame = frames.frame(frames.TEXT, b"x" * length)

    with pytest.raises(ValueError, match="not exactly one frame"):
        frames.contents(frames.Frame(frame + frame))
    with pytest.raises(ValueError, match="not exactly one frame"):
        frames.contents(frames.Frame(frame + b"?"))


def test_later_data_follows_unread_frames() -> None:
    reader = FrameReader(MOST)
    many = frames.MAX_FRAMES_PER_FEED + 1

    first = reader.feed(masked(Opcode.PONG, b"") * many)
    assert reader.has_more
    later = reader.feed(masked(Opcode.TEXT, b"later"))

    assert first + later == [(frames.PONG, b"")] * many + [(frames.TEXT, b"later")]


def copied(pieces: Iterable[bytes], max_bytes: int) -> int:
    """Return the peak memory use in bytes while the pieces are read one after another."""
    reader, taken = FrameReader(max_bytes), 0

    def feed(piece: bytes) -> None:
        nonlocal taken
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        reader.feed(piece)
        taken += max(0, tracemalloc.get_traced_memory()[1] - before)

    tracemalloc.start()
    try:
        for piece in pieces:
            feed(piece)
            while reader.has_more:
                feed(b"")
    finally:
        tracemalloc.stop()
    return taken


@pytest.mark.parametrize("payload_bytes", [10_000, 20_000])
def test_cost_of_frame_in_small_pieces_is_linear(payload_bytes: int) -> None:
    data = masked(Opcode.BINARY, b"x" * payload_bytes)

    drip = copied((data[at : at + 1] for at in range(len(data))), payload_bytes)

    # Some hundred bytes for each call, twice as many where coverage is measured; to copy what is
    # there already would be thousands.
    assert drip < 2000 * len(data)


def test_cost_of_many_small_frames_is_linear() -> None:
    data = masked(Opcode.PONG, b"") * 40_000

    assert copied([data], MOST) < 20 * len(data)


@given(
    sizes=st.lists(st.sampled_from([0, 5, 125, 126, 65_535, 65_536])),
    pieces=st.lists(st.integers(1, 1000)),
    begun=st.integers(0, 20),
)
def test_close_frame_is_found_behind_skipped_data(
    sizes: list[int], pieces: list[int], begun: int
) -> None:
    skipped = b"".join(masked(Opcode.TEXT, b"\xff" * size) for size in sizes)
    at = min(begun, len(skipped))
    finder = CloseFinder(skipped[:at])

    for size in pieces:
        piece = skipped[at : at + size]
        at += len(piece)
        assert not finder.feed(piece)

    assert finder.feed(skipped[at:] + masked(Opcode.CLOSE, b"\x03\xe8"))
