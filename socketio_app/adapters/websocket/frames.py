"""Parsing and serialization of WebSocket frames (RFC 6455, section 5), without I/O.

Covers what a server needs after the handshake, without extensions: frames to a client are unmasked
and unfragmented; frames from a client are masked.
"""

from struct import Struct
from typing import Final, NewType, NoReturn

import attrs

try:
    from websockets.speedups import apply_mask
except ImportError:  # websockets was installed without its extension module
    from websockets.utils import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

PING_PAYLOAD: Final = b"chat"
"""Payload of the server's pings. Clients may send pongs of their own accord, usually empty ones, as
.NET's does (RFC 6455, section 5.5.3)."""

NORMAL_CLOSURE: Final = 1000
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012

MAX_FRAMES_PER_FEED: Final = 256
"""Maximum number of frames parsed before the event loop serves other connections."""

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_MAX_CONTROL_BYTES: Final = 125
_TWO_BYTE_LENGTH, _EIGHT_BYTE_LENGTH = 126, 127


Frame = NewType("Frame", bytes)
"""Exactly one complete frame to a client. Several joined frames are plain `bytes`."""


class FrameError(Exception):
    """Invalid or oversized data from a client. `code` is the close code (section 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(opcode: int, payload: bytes) -> Frame:
    """Return a complete frame to a client."""
    length = len(payload)
    if length < _TWO_BYTE_LENGTH:
        return Frame(_SHORT_HEADER(_FINAL | opcode, length) + payload)
    if length < 0x10000:
        return Frame(_MEDIUM_HEADER(_FINAL | opcode, _TWO_BYTE_LENGTH, length) + payload)
    return Frame(_LONG_HEADER(_FINAL | opcode, _EIGHT_BYTE_LENGTH, length) + payload)


def text_frame(text: bytes) -> Frame:
    """Return a complete text frame to a client."""
    length = len(text)
    if _TWO_BYTE_LENGTH <= length < 0x10000:
        return Frame(_MEDIUM_HEADER(_FINAL | TEXT, _TWO_BYTE_LENGTH, length) + text)
    return frame(TEXT, text)


_SHORT_HEADER = Struct("!BB").pack
_MEDIUM_HEADER = Struct("!BBH").pack
_LONG_HEADER = Struct("!BBQ").pack


def contents(whole: Frame) -> tuple[int, bytes]:
    """Return the opcode and the payload of a frame to a client.

    Raises:
        ValueError: the bytes are not exactly one frame.
    """
    opcode, length, begin = whole[0] & 0x0F, whole[1], 2
    if length >= _TWO_BYTE_LENGTH:
        begin = 4 if length == _TWO_BYTE_LENGTH else 10
        length = _long_length(whole[2:begin])
    if len(whole) != begin + length:
        raise ValueError("not exactly one frame")
    return opcode, whole[begin:]


def close_frame(code: int) -> Frame:
    """Return a Close frame."""
    return frame(CLOSE, code.to_bytes(2, "big"))


@attrs.define
class FrameReader:
    """Incremental parser of a client's frames.

    Parsing is linear in the number of bytes, however small the chunks are.
    """

    max_bytes: int
    """Maximum size of a message, all fragments together."""
    has_more: bool = attrs.field(default=False, init=False)
    """Whether data is left after `MAX_FRAMES_PER_FEED` frames. If so, feed `b""` next."""
    error: FrameError | None = attrs.field(default=None, init=False)
    """The error if the client has violated the protocol or exceeded `max_bytes`."""
    _unread: bytes = attrs.field(default=b"", init=False)
    """Data left over when `MAX_FRAMES_PER_FEED` frames were parsed."""
    _start: int = attrs.field(default=0, init=False)
    """Offset of the next frame in `_unread`."""
    _partial: bytearray | None = attrs.field(default=None, init=False)
    """Start of an incomplete frame."""
    _needed_bytes: int = attrs.field(default=0, init=False)
    """Size of the incomplete frame; a lower bound until its header is complete."""
    _opcode: int | None = attrs.field(default=None, init=False)
    """Opcode of the fragmented message being received."""
    _fragments: bytearray | None = attrs.field(default=None, init=False)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:  # noqa: C901  (inlined for speed)
        """Parse the messages and control frames that `data` completes.

        Args:
            data: bytes received from the client.

        Returns:
            The opcode and payload of each. If it ends early, `has_more` or `error` says so.
        """
        found: list[tuple[int, bytes]] = []
        at = 0
        if self._partial is not None or self._unread:
            data, at = self._join_saved(data)
        end, remaining, needed = len(data), MAX_FRAMES_PER_FEED, 2
        try:
            while end - at >= 2 and remaining:
                first, length, begin = data[at], data[at + 1], at + 2 + _MASK_BYTES
                if not length & _MASKED:
                    _fail(PROTOCOL_ERROR, "frame without a mask")
                length &= 0x7F
                if length >= _TWO_BYTE_LENGTH:
                    size = 2 if length == _TWO_BYTE_LENGTH else 8
                    begin += size
                    digits = data[at + 2 : at + 2 + size]
                    length = _long_length(digits) if len(digits) == size else 0
                if length > self.max_bytes:
                    _fail(MESSAGE_TOO_BIG, "frame too large")
                if begin + length > end:
                    needed = begin + length - at
                    break
                mask = data[begin - _MASK_BYTES : begin]
                payload = apply_mask(data[begin : begin + length], mask)
                at = begin + length
                remaining -= 1
                if first == _FINAL | TEXT and self._opcode is None:
                    if not payload.isascii():
                        _check_utf8(payload)
                    found.append((TEXT, payload))
                elif (other := self._take_other(first, payload)) is not None:
                    found.append(other)
        except FrameError as error:
            self.error = error
        self._unread = b""
        if at < end:
            self._save(data, at, needed if remaining else 0)
        return found

    def _save(self, data: bytes, at: int, needed: int) -> None:
        """Save unparsed data: the start of a frame of `needed` bytes, or any frames if it is 0."""
        if needed:
            self._partial, self._needed_bytes = bytearray(data[at:]), needed
        else:
            self._unread, self._start = data, at
            self.has_more = True

    def _join_saved(self, data: bytes) -> tuple[bytes, int]:
        """Return the data to parse and its offset; no data while a frame is incomplete."""
        self.has_more = False
        if self._partial is None:
            return (self._unread[self._start :] + data, 0) if data else (self._unread, self._start)
        self._partial += data
        if len(self._partial) < self._needed_bytes:
            return b"", 0
        data, self._partial = bytes(self._partial), None
        return data, 0

    @property
    def rest(self) -> bytes:
        """Data that was fed and not parsed, from the start of a frame."""
        return bytes(self._partial) if self._partial is not None else self._unread[self._start :]

    def _take_other(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        """Return what any frame other than an unfragmented text message completes, if anything."""
        opcode, is_final = first & 0x0F, bool(first & _FINAL)
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "frame with reserved bits set")
        if opcode in (CLOSE, PING, PONG):
            if not is_final or len(payload) > _MAX_CONTROL_BYTES:
                raise FrameError(PROTOCOL_ERROR, "control frame fragmented or too long")
            if opcode == CLOSE:
                _check_close(payload)
            return opcode, payload
        if opcode in (TEXT, BINARY, CONTINUATION):
            if (opcode == CONTINUATION) != (self._opcode is not None):
                raise FrameError(PROTOCOL_ERROR, "unexpected continuation frame")
            self._add_fragment(opcode, payload)
            return self._join_fragments() if is_final else None
        raise FrameError(PROTOCOL_ERROR, "unknown opcode")

    def _add_fragment(self, opcode: int, payload: bytes) -> None:
        if self._opcode is None or self._fragments is None:
            self._opcode, self._fragments = opcode, bytearray()
        self._fragments += payload
        if len(self._fragments) > self.max_bytes:
            raise FrameError(MESSAGE_TOO_BIG, "message too large")

    def _join_fragments(self) -> tuple[int, bytes]:
        assert self._opcode is not None  # noqa: S101  (a fragment set both)
        assert self._fragments is not None  # noqa: S101
        message = self._opcode, bytes(self._fragments)
        self._opcode = self._fragments = None
        if message[0] == TEXT:
            _check_utf8(message[1])
        return message


@attrs.define
class CloseFinder:
    """Incremental search for a client's Close frame, ignoring all other frames.

    If the data is not valid WebSocket, it may not find any.
    """

    _head: bytes
    """Start of a frame whose header is incomplete."""
    _skip: int = attrs.field(default=0, init=False)
    """Number of bytes left in the current frame."""

    def feed(self, data: bytes) -> bool:
        """Skip frames; return whether one was a Close frame."""
        data, at = self._head + data, self._skip
        while len(data) - at >= 2:
            length, begin = data[at + 1] & 0x7F, at + 2
            if length >= _TWO_BYTE_LENGTH:
                begin += 2 if length == _TWO_BYTE_LENGTH else 8
                if len(data) < begin:
                    break
                length = int.from_bytes(data[at + 2 : begin], "big")
            if data[at] & 0x0F == CLOSE:
                return True
            at = begin + _MASK_BYTES + length
        self._head, self._skip = data[at:], max(0, at - len(data))
        return False


def _fail(code: int, reason: str) -> NoReturn:
    raise FrameError(code, reason)


def _long_length(digits: bytes) -> int:
    length = int.from_bytes(digits, "big")
    if length < (_TWO_BYTE_LENGTH if len(digits) == 2 else 0x10000):
        raise FrameError(PROTOCOL_ERROR, "length not encoded minimally")
    return length


def _check_utf8(text: bytes) -> None:
    """Raise an error unless a text message is UTF-8 (RFC 6455, section 8.1)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "text is not UTF-8") from None


def _check_close(payload: bytes) -> None:
    """Raise an error for an invalid Close payload (RFC 6455, sections 5.5.1 and 7.4)."""
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 0
    if not any(code in codes for codes in _CLOSE_CODES):
        raise FrameError(PROTOCOL_ERROR, "invalid close code")
    _check_utf8(payload[2:])


_CLOSE_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))
