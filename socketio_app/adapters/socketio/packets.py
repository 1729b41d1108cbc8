"""Socket.IO packets to and from text (Socket.IO protocol 5, Engine.IO protocol 4).

JSON is msgspec's, for its speed; where a client may send what JSON allows and msgspec does not
(lone surrogates, enormous integers), the standard library's takes over, so that a command with
such a payload is refused and not the connection.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import attrs
import msgspec
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio.packet import Packet as _Packet

from socketio_app.adapters.socketio.frames import TEXT, Frame, contents, frame
from socketio_app.adapters.socketio.wire.incoming import DECODERS

UNREADABLE: Final = object()
"""Stands for JSON that is nested too deeply to be read."""

_encode = msgspec.json.encode
_decode = msgspec.json.decode

# Python limits how long a decimal string `int` takes; no identifier of ours is half as long.
_LONGEST_INTEGER: Final = 1000


class MessagePacket(EnginePacket):
    """A message that waits for a polling client."""

    packet_type = MESSAGE

    def __init__(self, frame: Frame) -> None:
        """Take the message as the WebSocket frame that it is everywhere else."""
        self.frame = frame

    def encode(self, b64: bool = False) -> str:  # noqa: FBT001, FBT002  (python-engineio's own)
        """The Engine.IO packet, for python-engineio."""
        del b64
        _, encoded = contents(self.frame)
        return encoded.decode()


def event_frame(name: str, payload: object) -> Frame:
    """An event's packet as a WebSocket frame: one for however many connections."""
    return frame(TEXT, b"42" + _encode((name, payload)))


def ack_frame(ack_id: int, payload: object) -> Frame:
    """The packet that acknowledges the event with this id, as a WebSocket frame."""
    return frame(TEXT, b"43%d" % ack_id + _encode((payload,)))


DISCONNECT_FRAME: Final = frame(TEXT, b"41")
"""The packet that ends a connection for good: official clients do not come back by themselves."""


@attrs.define
class CommandEvent:
    """An event as it came."""

    ack_id: int | None
    """What its acknowledgement is to carry; `None` where it asks for none."""
    name: str
    payloads: Sequence[object]
    is_readable: bool = True
    """False where the payload was binary, or nested too deeply to be read."""


def event_of(encoded: bytes) -> CommandEvent | None:
    """The event to `/` in an Engine.IO message.

    `None` where it is something else, or is not plain: `Packet` can say more of it.
    """
    ack_id = None
    begin = encoded.find(b"[", 0, _LONGEST_BEGINNING)
    if begin != 2:
        digits = encoded[2:begin]
        if begin < 0 or not digits.isdigit():
            return None
        ack_id = int(digits)
    if not encoded.startswith(b"42"):
        return None
    array = encoded[begin:]
    decoder = DECODERS.get(array[2 : array.find(b'"', 2)])
    if decoder is not None:
        try:
            contents = decoder.decode(array)
            return CommandEvent(ack_id, contents[0], contents[1:])
        except (ValueError, RecursionError):
            pass  # what is wrong is told by whoever asks for the shape
    return _plain_event(ack_id, array)


_LONGEST_BEGINNING: Final = 22


def _plain_event(ack_id: int | None, array: bytes) -> CommandEvent | None:
    """An event whose payloads are whatever JSON they are."""
    try:
        contents = _decode(array)
    except (ValueError, RecursionError):
        return None
    if not contents or type(contents[0]) is not str:
        return None
    return CommandEvent(ack_id, contents[0], contents[1:])


class _Json:
    """JSON as `socketio.Packet` asks for it."""

    @staticmethod
    def dumps(value: object, **_options: object) -> str:
        return _encode(value).decode()

    @staticmethod
    def loads(text: str) -> Any:
        """The value, or `UNREADABLE`.

        Raises:
            ValueError: `text` is not JSON.
        """
        try:
            return _decode(text)
        except RecursionError:
            return UNREADABLE
        except (msgspec.DecodeError, msgspec.ValidationError, ValueError):
            return _tolerant_loads(text)


def _tolerant_loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        return UNREADABLE


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


class Packet(_Packet):
    """A Socket.IO packet that came in."""

    json = _Json

    @classmethod
    def data_is_binary(cls, data: object) -> bool:
        """False: nothing that we send is binary, so there is no need to search it."""
        return False


class MalformedPacketError(Exception):
    """Something that is not Socket.IO. The message says what, and nothing of its contents."""


def packet_of(data: str | bytes) -> Packet:
    """The packet in a message.

    Raises:
        MalformedPacketError: it holds none.
    """
    if not isinstance(data, str):
        raise MalformedPacketError("a binary frame that belongs to nothing")
    try:
        return Packet(encoded_packet=data)
    except (ValueError, TypeError, IndexError):
        raise MalformedPacketError("a malformed packet") from None


def command_event(packet: Packet) -> CommandEvent:
    """The event in a packet; its name may be a number (Socket.IO protocol 5, "Event").

    Raises:
        MalformedPacketError: it has no name.
    """
    match packet.data:
        case [str() | int() as name, *payloads] if not isinstance(name, bool):
            return CommandEvent(packet.id, str(name), payloads)
        case _ if packet.data is UNREADABLE:
            return CommandEvent(packet.id, "", [], is_readable=False)
        case _:
            raise MalformedPacketError("an event without a name")
