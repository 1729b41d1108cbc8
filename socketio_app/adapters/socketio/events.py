"""Commands in Socket.IO events.

Only the fields of known commands are decoded. Everything else is merely checked to be valid JSON,
which takes at most 4 ns per byte; decoding it may take 1.3 µs per byte.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Final

import msgspec

from socketio_app.adapters.socketio.packets import (
    IncomingPacket,
    MalformedPacketError,
    ack_frame,
    event_frame,
    has_surrogates,
)
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.wire.incoming import invalid
from socketio_app.adapters.wire.outgoing import Payload, error_event
from socketio_app.adapters.wire.registry import COMMANDS, WireCommand, parse
from socketio_app.application.commands import Command
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import MAX_CLIENT_MESSAGE_ID_CHARS


class _Decoded(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """A JSON array of a command's name, which is the tag of a subclass, and its payload."""

    name: ClassVar[str]
    row: ClassVar[WireCommand]
    payload: Any


def _decoded_type(name: str, row: WireCommand) -> type[msgspec.Struct]:
    members = {"name": name, "row": row}
    return msgspec.defstruct(
        name, [("payload", row.payload)], bases=(_Decoded,), tag=name, namespace=members
    )


_DECODER: Final["msgspec.json.Decoder[_Decoded]"] = msgspec.json.Decoder(
    reduce(or_, (_decoded_type(name, row) for name, row in COMMANDS.items()))
)
_decode = _DECODER.decode


class CommandEvent(msgspec.Struct):
    """An event from a client."""

    ack_id: int | None
    """Id of the requested acknowledgement; `None` if the client requests none."""
    name: str
    payloads: Sequence[object]
    """Decoded payload of a known command; empty if it was not decoded."""
    encoded: bytes = b""
    """JSON array of the name and the payloads."""
    dropped_bytes: int = 0
    """Size of the dropped binary attachments."""
    is_readable: bool = True
    """False if the payload cannot be decoded: it is binary or nested too deeply."""
    wrong: InvalidPayload | None = None
    """The error if the payload was invalid."""
    row: WireCommand | None = None
    """The command's row, if the payload was decoded as an instance of the row's type."""

    def command(self) -> Command[Any]:
        """See `Request.command`."""
        if self.row is not None:
            return self.row.parse(self.payloads[0])
        if self.wrong is not None:
            raise self.wrong
        return parse(self.name, self.payloads, is_readable=self.is_readable)

    def answer(self, payload: Payload) -> Frame:
        """See `Request.answer`."""
        assert self.ack_id is not None  # noqa: S101  (there is one to answer)
        return ack_frame(self.ack_id, payload)

    def error_frame(self, error: Payload) -> Frame:
        """See `Request.error_frame`."""
        if self.ack_id is not None:
            return ack_frame(self.ack_id, {"ok": False, "error": error})
        return event_frame(("error", error_event(error, self.name, self.identified)))

    @property
    def size(self) -> int:
        """Size in bytes, including dropped attachments."""
        return len(self.encoded) + self.dropped_bytes

    @property
    def identified(self) -> Sequence[object]:
        """Payload with the `client_message_id`, for the rejection."""
        return self.payloads or _identified(self.encoded)


def plain_event_of(encoded: bytes) -> CommandEvent | None:
    """Return the event in a message such as `42[...]` or `421[...]`, `None` for other forms."""
    if encoded.startswith(b"42["):
        return event_of(None, encoded[2:])
    begin = encoded.find(b"[", 0, _MAX_HEADER_BYTES)
    digits = encoded[2:begin]
    if begin < 0 or not digits.isdigit() or not encoded.startswith(b"42"):
        return None
    return event_of(int(digits), encoded[begin:])


_MAX_HEADER_BYTES: Final = 22

_SEND: Final = b'["send_'


def may_be_send(encoded: bytes) -> bool:
    """Whether a message may be an event that sends a message, written in the usual way."""
    return encoded.startswith(b"42") and encoded.find(_SEND, 2, _MAX_HEADER_BYTES + 7) >= 0


def event_of(ack_id: int | None, array: bytes) -> CommandEvent | None:
    """Return the event in a JSON array, `None` if it is not an event."""
    try:
        event = _decode(array)
    except msgspec.ValidationError as error:
        name = array[2 : array.find(b'"', 2)].decode("utf-8", "replace")
        if name in COMMANDS and array.startswith(b'["'):
            return CommandEvent(ack_id, name, (), array, wrong=invalid(error))
    except (ValueError, RecursionError):
        pass
    else:
        return CommandEvent(ack_id, event.name, (event.payload,), array, row=event.row)
    return _other_event(ack_id, array)


def binary_event_of(ack_id: int | None, array: bytes) -> CommandEvent | None:
    """Return an event with binary content, which no command has; `None` if it is not an event."""
    event = _other_event(ack_id, array)
    return event and msgspec.structs.replace(event, payloads=(), is_readable=False, row=None)


def event_in(
    packet: IncomingPacket, read: Callable[[int | None, bytes], CommandEvent | None]
) -> CommandEvent:
    """Return the event in a packet.

    Raises:
        MalformedPacketError: it is not an event, or it is for another namespace.
    """
    if not packet.is_to_chat:
        raise MalformedPacketError("event for another namespace")
    event = read(packet.ack_id, packet.data)
    if event is None:
        raise MalformedPacketError("malformed event")
    return event


def _other_event(ack_id: int | None, array: bytes) -> CommandEvent | None:
    """Return an event that will be rejected, or whose name is written in an unusual way."""
    name = _name_of(array)
    if name is None:
        return None
    try:
        if name in COMMANDS:
            return CommandEvent(ack_id, name, (_decode(array).payload,), array)
        _VALIDATING.decode(array)
        return CommandEvent(ack_id, name, (), array)
    except msgspec.ValidationError as error:
        return CommandEvent(ack_id, name, (), array, wrong=invalid(error))
    except RecursionError:
        return CommandEvent(ack_id, name, (), array, is_readable=False)
    except ValueError:
        return _with_surrogates(ack_id, name, array) if has_surrogates(array) else None


_VALIDATING: Final = msgspec.json.Decoder(msgspec.Raw)
"""Checks that its input is valid JSON without decoding it."""

_NAME: Final = re.compile(
    rb'[ \t\r\n]*+\[[ \t\r\n]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9]++)[ \t\r\n]*+[,\]]', re.DOTALL
)


def _name_of(array: bytes) -> str | None:
    """Return an event's name, which may be a number (Socket.IO protocol 5, "Event")."""
    found = _NAME.match(array)
    if found is None:
        return None
    token = found.group(1)
    if not token.startswith(b'"'):
        return token.decode()
    try:
        name: str = json.loads(token)
    except ValueError:
        return None
    return name


# Lone surrogates.


_MAX_SURROGATE_BYTES: Final = 16_384
"""Maximum size of an event with a lone surrogate whose invalid field is named in the rejection: the
decoder that accepts surrogates takes up to 1 ms for this size."""

_MAX_INTEGER_DIGITS: Final = 1000


def _with_surrogates(ack_id: int | None, name: str, array: bytes) -> CommandEvent | None:
    """Return an event with a lone surrogate, which is JSON but not Unicode, to be rejected."""
    if len(array) > _MAX_SURROGATE_BYTES:
        return CommandEvent(ack_id, name, (), array, is_readable=False)
    try:
        contents: list[Any] = json.loads(
            array, parse_float=_no_integer, parse_int=_integer, parse_constant=_reject_constant
        )
    except RecursionError:
        return CommandEvent(ack_id, name, (), array, is_readable=False)
    except ValueError:
        return None
    return CommandEvent(ack_id, name, contents[1:], array)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_integer(_digits: str) -> float:
    """Replace a number with a fraction or an exponent by one that every field rejects."""
    return 0.5


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else 0.5


# Rejections.


class _Identified(msgspec.Struct):
    client_message_id: msgspec.Raw = msgspec.Raw(b"null")


_IDENTIFYING: Final = msgspec.json.Decoder(tuple[msgspec.Raw, _Identified])

_MAX_JSON_BYTES_PER_CHAR: Final = 12


def _identified(array: bytes) -> Sequence[object]:
    try:
        _, payload = _IDENTIFYING.decode(array)
        raw = payload.client_message_id
        if len(raw) > MAX_CLIENT_MESSAGE_ID_CHARS * _MAX_JSON_BYTES_PER_CHAR + 2:
            return ()
        return ({"client_message_id": msgspec.json.decode(raw, type=str)},)
    except (ValueError, RecursionError):
        return ()
