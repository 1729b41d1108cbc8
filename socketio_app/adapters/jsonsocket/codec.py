"""Decodes commands from JSON objects, and encodes events and answers as JSON objects."""

from typing import Any, Final

import attrs
import msgspec

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.websocket.frames import TEXT, Frame, text_frame
from socketio_app.adapters.websocket.interface import Message
from socketio_app.adapters.wire import outgoing
from socketio_app.adapters.wire.incoming import invalid
from socketio_app.adapters.wire.outgoing import EventPayload, Payload, error_event
from socketio_app.adapters.wire.registry import PAYLOADS, parse
from socketio_app.application.commands import Command
from socketio_app.application.events import Connected, Event
from socketio_app.domain.errors import InvalidPayload, Unauthenticated

_encode = msgspec.json.encode


class Envelope(msgspec.Struct):
    """A frame from a client."""

    command: str
    id: int | float | str | None = None
    """Returned with the answer: an integer or a string; `None` if the client requests none."""
    payload: msgspec.Raw = msgspec.Raw(b"{}")


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)

_EMPTY: Final = msgspec.Raw(b"{}")

MAX_ID: Final = 2**53 - 1
"""Maximum of an `id` that is written as a fraction (RFC 8259, section 6)."""

MAX_ID_CHARS: Final = 64
"""Maximum length of an `id` that is a string, in characters."""


def envelope_of(text: bytes) -> Envelope:
    """Decode a frame.

    Raises:
        InvalidPayload: it is not a JSON object with a `command`, or its `id` is invalid.
    """
    try:
        envelope = _ENVELOPE.decode(text)
    except msgspec.ValidationError as error:
        if "`$.id`" in str(error):
            raise _invalid_id() from None
        raise InvalidPayload("a frame must be a JSON object with a command") from None
    except (ValueError, RecursionError):
        raise InvalidPayload("a frame must be a JSON object with a command") from None
    if isinstance(envelope.id, str):
        if len(envelope.id) > MAX_ID_CHARS:
            raise InvalidPayload(f"id must have at most {MAX_ID_CHARS} characters", field="id")
    elif isinstance(envelope.id, float):
        if not (envelope.id.is_integer() and abs(envelope.id) <= MAX_ID):
            raise _invalid_id()
        envelope.id = int(envelope.id)
    return envelope


def _invalid_id() -> InvalidPayload:
    return InvalidPayload("id must be an integer or a string", field="id")


def answer_frame(request_id: float | str | None, payload: Payload) -> Frame:
    """Return the frame that answers the request with this id."""
    return text_frame(_encode({"id": request_id, **payload}))


def event_frame(event: Event) -> Frame:
    """Return an event's frame, which is the same for all connections."""
    name, payload = outgoing.EVENTS[type(event)](event)
    return named_event_frame(name, payload)


def named_event_frame(name: str, payload: EventPayload) -> Frame:
    """Return the frame of an event with this name and payload."""
    return text_frame(_encode({"event": name, "payload": payload}))


def greeting(event: Connected, request_id: float | str | None) -> Frame:
    """Return a connection's first frame: the answer to `connect`, or the `connected` event."""
    if request_id is None:
        return event_frame(event)
    payload = outgoing.connected(event)
    return answer_frame(request_id, {"ok": True, **payload})


JSON_ENCODING: Final = Encoding(event_frame=event_frame, last_frame=None)


CONNECT: Final = "connect"
"""The command that authenticates a client. Other commands are rejected before it."""


def connect_message(token: str | None) -> Message:
    """Return the `connect` with the token of a handshake; `None` if its header has no token."""
    return TEXT, _encode({"command": CONNECT, "payload": {"token": token}})


class _Token(msgspec.Struct):
    token: str


_TOKEN: Final = msgspec.json.Decoder(_Token)


def token_in(envelope: Envelope) -> str:
    """Return the token in a `connect`.

    Raises:
        Unauthenticated: there is none.
    """
    try:
        return _TOKEN.decode(envelope.payload).token
    except (ValueError, RecursionError):
        raise Unauthenticated("no token: send it as payload.token", reason="no token") from None


@attrs.frozen
class JsonRequest:
    """A command in a frame. Implements `Request`."""

    envelope: Envelope
    size: int

    @property
    def name(self) -> str:
        """See `Request.name`."""
        return self.envelope.command

    @property
    def ack_id(self) -> int | float | str | None:
        """See `Request.ack_id`."""
        return self.envelope.id

    def command(self) -> Command[Any]:
        """See `Request.command`."""
        return parse(self.name, [self._payload()])

    def _payload(self) -> object:
        decoder, encoded = PAYLOADS.get(self.name), self.envelope.payload
        try:
            return None if decoder is None else decoder.decode(encoded)
        except msgspec.ValidationError as error:
            if bytes(encoded) == b"null":  # the same as leaving it out
                self.envelope.payload = _EMPTY
                return self._payload()
            raise invalid(error) from None
        except (ValueError, RecursionError):
            raise InvalidPayload(
                "the payload must be valid Unicode and not nested too deeply"
            ) from None

    def answer(self, payload: Payload) -> Frame:
        """See `Request.answer`."""
        return answer_frame(self.envelope.id, payload)

    def error_frame(self, error: Payload) -> Frame:
        """See `Request.error_frame`."""
        if self.ack_id is not None:
            return self.answer({"ok": False, "error": error})
        return named_event_frame("error", error_event(error, self.name, self._identified()))

    def _identified(self) -> list[object]:
        """Return the payload if it can be decoded: it may have a `client_message_id`."""
        try:
            return [self._payload()]
        except InvalidPayload:
            return []
