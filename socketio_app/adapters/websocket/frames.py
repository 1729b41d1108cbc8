"""WebSocket frames to and from bytes (RFC 6455, section 5). Nothing here knows of sockets.

Only what a server needs after the handshake, without extensions: frames to a client are unmasked
and whole, frames from a client are masked.
"""

from struct import Struct
from typing import Final, NewType

import attrs

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it has no extension module
    from websockets.utils import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL_CLOSURE: Final = 1000
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012

MAX_AT_ONCE: Final = 256
"""How many frames are read before others have their turn."""

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_MOST_CONTROL_BYTES: Final = 125
_TWO_BYTE_LENGTH, _EIGHT_BYTE_LENGTH = 126, 127


Frame = NewType("Frame", bytes)
"""Exactly one whole frame to a client. Several frames joined are plain `bytes`."""


class FrameError(Exception):
    """What came is not WebSocket, or too large. `code` is what to close with (section 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(opcode: int, payload: bytes) -> Frame:
    """One whole frame to a client."""
    length = len(payload)
    if length < _TWO_BYTE_LENGTH:
        return Frame(_SHORT_HEADER(_FINAL | opcode, length) + payload)
    if length < 0x10000:
        return Frame(_MIDDLE_HEADER(_FINAL | opcode, _TWO_BYTE_LENGTH, length) + payload)
    return Frame(_LONG_HEADER(_FINAL | opcode, _EIGHT_BYTE_LENGTH, length) + payload)


_SHORT_HEADER = Struct("!BB").pack
_MIDDLE_HEADER = Struct("!BBH").pack
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
    """The frame that closes a connection."""
    return frame(CLOSE, code.to_bytes(2, "big"))


@attrs.define
class FrameReader:
    """Puts a client's frames together, out of whatever pieces arrive.

    The cost is linear in the bytes, however small the pieces are.
    """

    max_bytes: int
    """How large a message may be, its fragments together."""
    _unread: bytes = attrs.field(default=b"", init=False)
    """What arrived together with more frames than are read at once."""
    _at: int = attrs.field(default=0, init=False)
    """How far it has been read."""
    _begun: bytearray | None = attrs.field(default=None, init=False)
    """The beginning of a frame."""
    _needed: int = attrs.field(default=0, init=False)
    """How many bytes the frame has; at least, where the beginning does not say."""
    _opcode: int | None = attrs.field(default=None, init=False)
    """What kind of message is under way in fragments."""
    _fragments: bytearray | None = attrs.field(default=None, init=False)

    def feed(self, data: bytes, found: list[tuple[int, bytes]]) -> bool:
        """Find the messages, and control frames, that are complete with this.

        Args:
            data: what came.
            found: gets the opcode and the payload of each, as far as all is well.

        Returns:
            Whether there may be more: only so many frames are read at once. Feed nothing for them.

        Raises:
            FrameError: the client breaks the protocol, or the limit.
        """
        at = 0
        if self._begun is not None or self._unread:
            data, at = self._after_the_rest(data)
        end, left, needed = len(data), MAX_AT_ONCE, 2
        try:
            while end - at >= 2 and left:
                first, length, begin = data[at], data[at + 1], at + 2 + _MASK_BYTES
                if not length & _MASKED:
                    raise FrameError(PROTOCOL_ERROR, "frame without a mask")
                length &= 0x7F
                if length >= _TWO_BYTE_LENGTH:
                    size = 2 if length == _TWO_BYTE_LENGTH else 8
                    begin += size
                    digits = data[at + 2 : at + 2 + size]
                    length = _long_length(digits) if len(digits) == size else 0
                if length > self.max_bytes:
                    raise FrameError(MESSAGE_TOO_BIG, "frame too large")
                if begin + length > end:
                    needed = begin + length - at
                    break
                mask = data[begin - _MASK_BYTES : begin]
                payload = apply_mask(data[begin : begin + length], mask)
                at = begin + length
                left -= 1
                if first == _FINAL | TEXT and self._opcode is None:
                    if not payload.isascii():
                        _check_utf8(payload)
                    found.append((TEXT, payload))
                else:
                    self._take_other(first, payload, found)
        finally:
            self._unread = b""
            if at < end:
                self._keep(data, at, needed if left else 0)
        return left == 0

    def _keep(self, data: bytes, at: int, needed: int) -> None:
        """Keep what is not read: the beginning of a frame, where it is `needed` bytes long."""
        if needed:
            self._begun, self._needed = bytearray(data[at:]), needed
        else:
            self._unread, self._at = data, at

    def _after_the_rest(self, data: bytes) -> tuple[bytes, int]:
        """What is to be read, and from where on; nothing while a frame is not complete."""
        if self._begun is None:
            return (self._unread[self._at :] + data, 0) if data else (self._unread, self._at)
        self._begun += data
        if len(self._begun) < self._needed:
            return b"", 0
        data, self._begun = bytes(self._begun), None
        return data, 0

    @property
    def rest(self) -> bytes:
        """What was fed and is not read, from the beginning of a frame."""
        return bytes(self._begun) if self._begun is not None else self._unread[self._at :]

    def _take_other(self, first: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        """What is not simply a whole text message."""
        opcode, is_final = first & 0x0F, bool(first & _FINAL)
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "frame with reserved bits set")
        if opcode in (CLOSE, PING, PONG):
            if not is_final or len(payload) > _MOST_CONTROL_BYTES:
                raise FrameError(PROTOCOL_ERROR, "control frame fragmented or too long")
            if opcode == CLOSE:
                _check_close(payload)
            found.append((opcode, payload))
        elif opcode in (TEXT, BINARY, CONTINUATION):
            if (opcode == CONTINUATION) != (self._opcode is not None):
                raise FrameError(PROTOCOL_ERROR, "unexpected continuation frame")
            self._take_fragment(opcode, payload)
            if is_final:
                found.append(self._whole())
        else:
            raise FrameError(PROTOCOL_ERROR, "unknown opcode")

    def _take_fragment(self, opcode: int, payload: bytes) -> None:
        if self._opcode is None or self._fragments is None:
            self._opcode, self._fragments = opcode, bytearray()
        self._fragments += payload
        if len(self._fragments) > self.max_bytes:
            raise FrameError(MESSAGE_TOO_BIG, "message too large")

    def _whole(self) -> tuple[int, bytes]:
        assert self._opcode is not None  # noqa: S101  (a fragment set both)
        assert self._fragments is not None  # noqa: S101
        message = self._opcode, bytes(self._fragments)
        self._opcode = self._fragments = None
        if message[0] == TEXT:
            _check_utf8(message[1])
        return message


@attrs.define
class CloseFinder:
    """Waits for a client's Close frame, and reads nothing else.

    Where what arrives is not WebSocket, it may find none.
    """

    _head: bytes
    """The beginning of a frame, whose header is not complete."""
    _skip: int = attrs.field(default=0, init=False)
    """How many bytes of a frame are still to come."""

    def feed(self, data: bytes) -> bool:
        """Skip frames; return whether there was a Close frame."""
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


def _long_length(digits: bytes) -> int:
    length = int.from_bytes(digits, "big")
    if length < (_TWO_BYTE_LENGTH if len(digits) == 2 else 0x10000):
        raise FrameError(PROTOCOL_ERROR, "length not encoded minimally")
    return length


def _check_utf8(text: bytes) -> None:
    """Hold a text message to being UTF-8 (RFC 6455, section 8.1)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "text is not UTF-8") from None


def _check_close(payload: bytes) -> None:
    """Hold a close frame to what it may say (RFC 6455, sections 5.5.1 and 7.4)."""
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 0
    if not any(code in codes for codes in _CLOSE_CODES):
        raise FrameError(PROTOCOL_ERROR, "invalid close code")
    _check_utf8(payload[2:])


_CLOSE_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))
