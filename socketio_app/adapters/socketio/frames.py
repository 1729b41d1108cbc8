"""WebSocket frames to and from bytes (RFC 6455, section 5). Nothing here knows of sockets.

Only what a server needs after the handshake, without extensions: frames to a client are unmasked
and whole, frames from a client are masked.
"""

from struct import Struct
from typing import Final

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
MESSAGE_TOO_BIG: Final = 1009
SERVICE_RESTART: Final = 1012

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_MOST_CONTROL_BYTES: Final = 125
_TWO_BYTE_LENGTH, _EIGHT_BYTE_LENGTH = 126, 127


class FrameError(Exception):
    """What came is not WebSocket, or too large. `code` is what to close with (section 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame to a client."""
    length = len(payload)
    if length < _TWO_BYTE_LENGTH:
        return _SHORT_HEADER(_FINAL | opcode, length) + payload
    if length < 0x10000:
        return _MIDDLE_HEADER(_FINAL | opcode, _TWO_BYTE_LENGTH, length) + payload
    return _LONG_HEADER(_FINAL | opcode, _EIGHT_BYTE_LENGTH, length) + payload


_SHORT_HEADER = Struct("!BB").pack
_MIDDLE_HEADER = Struct("!BBH").pack
_LONG_HEADER = Struct("!BBQ").pack


def contents(whole: bytes) -> tuple[int, bytes]:
    """The opcode and the payload of a frame to a client."""
    opcode, length = whole[0] & 0x0F, whole[1]
    begin = {_TWO_BYTE_LENGTH: 4, _EIGHT_BYTE_LENGTH: 10}.get(length, 2)
    return opcode, whole[begin:]


def close_frame(code: int) -> bytes:
    """The frame that closes a connection."""
    return frame(CLOSE, code.to_bytes(2, "big"))


@attrs.define
class FrameReader:
    """Puts a client's frames together, out of whatever pieces arrive."""

    most_bytes: int
    """How large a message may be, its fragments together."""
    _rest: bytes = attrs.field(default=b"", init=False)
    _opcode: int | None = attrs.field(default=None, init=False)
    """What kind of message is under way in fragments."""
    _fragments: list[bytes] = attrs.field(factory=list, init=False)
    _fragment_bytes: int = attrs.field(default=0, init=False)

    def feed(self, data: bytes, found: list[tuple[int, bytes]]) -> None:
        """Find the messages, and control frames, that are complete with this.

        Args:
            data: what came.
            found: gets the opcode and the payload of each, as far as all is well.

        Raises:
            FrameError: the client breaks the protocol, or the limit.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2 + _MASK_BYTES:
            first, length, header = data[at], data[at + 1], 2
            if not length & _MASKED:
                raise FrameError(PROTOCOL_ERROR, "a frame without a mask")
            length &= 0x7F
            if length == _TWO_BYTE_LENGTH:
                length, header = data[at + 2] << 8 | data[at + 3], 4
            elif length == _EIGHT_BYTE_LENGTH:
                if end - at < 10:
                    break
                length, header = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if length + self._fragment_bytes > self.most_bytes:
                raise FrameError(MESSAGE_TOO_BIG, "a frame over the limit")
            begin = at + header + _MASK_BYTES
            if begin + length > end:
                break
            payload = apply_mask(data[begin : begin + length], data[begin - _MASK_BYTES : begin])
            at = begin + length
            if first == _FINAL | TEXT and self._opcode is None:
                found.append((TEXT, payload))
            else:
                self._take_other(first, payload, found)
        self._rest = data[at:]

    def _take_other(self, first: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        """What is not simply a whole text message."""
        opcode, is_final = first & 0x0F, bool(first & _FINAL)
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "a frame of an extension that was not agreed on")
        if opcode in (CLOSE, PING, PONG):
            if not is_final or len(payload) > _MOST_CONTROL_BYTES:
                raise FrameError(PROTOCOL_ERROR, "a control frame in fragments, or too long")
            found.append((opcode, payload))
        elif opcode in (TEXT, BINARY, CONTINUATION):
            if (opcode == CONTINUATION) != (self._opcode is not None):
                raise FrameError(PROTOCOL_ERROR, "a fragment that belongs to nothing")
            self._take_fragment(opcode, payload)
            if is_final:
                found.append(self._whole())
        else:
            raise FrameError(PROTOCOL_ERROR, "a frame of no known kind")

    def _take_fragment(self, opcode: int, payload: bytes) -> None:
        if self._opcode is None:
            self._opcode = opcode
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)

    def _whole(self) -> tuple[int, bytes]:
        assert self._opcode is not None  # noqa: S101  (a fragment set it)
        message = self._opcode, b"".join(self._fragments)
        self._opcode, self._fragment_bytes = None, 0
        self._fragments.clear()
        return message
