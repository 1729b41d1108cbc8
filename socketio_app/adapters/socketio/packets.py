"""Decodes and encodes Socket.IO packets (Socket.IO protocol 5, Engine.IO protocol 4)."""

import re
from typing import Final

import attrs
import msgspec

from socketio_app.adapters.websocket.frames import Frame, text_frame

_encode = msgspec.json.encode


def event_frame(event: tuple[str, object]) -> Frame:
    """Return the packet of an event, a name and a payload, as a frame to any connections."""
    return text_frame(b"42" + _encode(event))


def ack_frame(ack_id: int, payload: object) -> Frame:
    """Return the packet that acknowledges an event, as a WebSocket frame."""
    return text_frame(b"43%d" % ack_id + _encode((payload,)))


DISCONNECT_FRAME: Final = text_frame(b"41")
"""The DISCONNECT packet. Official clients do not reconnect by themselves after it."""


NAMESPACE: Final = "/"
"""The chat's namespace."""


def connect_frame(connection_id: str) -> Frame:
    """Return the packet that accepts a CONNECT, as a WebSocket frame."""
    return text_frame(b"40" + _encode({"sid": connection_id}))


def connect_error_frame(error: object, namespace: str | None) -> Frame:
    """Return the packet that rejects a CONNECT, as a WebSocket frame."""
    prefix = "" if namespace in {None, NAMESPACE} else f"{namespace},"
    return text_frame(b"44" + prefix.encode() + _encode(error))


class MalformedPacketError(Exception):
    """Input that is not valid Socket.IO. The message never quotes it."""


@attrs.frozen
class IncomingPacket:
    """A Socket.IO packet from a client, with undecoded data."""

    kind: int
    """Type of the packet."""
    attachment_count: int
    namespace: str | None
    ack_id: int | None
    data: bytes

    @property
    def is_to_chat(self) -> bool:
        """Whether the namespace is `/`."""
        return self.namespace in {None, NAMESPACE}


_HEADER: Final = re.compile(
    rb"([0-6])(?:([0-9]{1,10})-)?+(?:(/[^,?]*+)[^,]*+(?:,|\Z))?+([0-9]{0,100}+)(?![0-9])"
)


def packet_of(encoded: bytes) -> IncomingPacket:
    """Return the packet in a message.

    Raises:
        MalformedPacketError: it is not a packet.
    """
    header = _HEADER.match(encoded)
    if header is None:
        raise MalformedPacketError("malformed packet")
    kind, attachments, namespace, ack_id = header.groups()
    return IncomingPacket(
        int(kind),
        int(attachments or 0),
        None if namespace is None else namespace.decode("utf-8", "replace"),
        int(ack_id) if ack_id else None,
        encoded[header.end() :],
    )


def has_surrogates(text: bytes) -> bool:
    """Whether some JSON has escaped surrogates. JSON allows lone ones, msgspec rejects them."""
    return _SURROGATE.search(text) is not None


_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class _Auth(msgspec.Struct):
    token: str


_AUTH: Final = msgspec.json.Decoder(_Auth)


def auth_of(data: bytes) -> dict[str, str] | None:
    """Return the `auth` of a CONNECT packet; `None` if it has no token.

    Raises:
        MalformedPacketError: it is not JSON.
    """
    if not data:
        return None
    try:
        return {"token": _AUTH.decode(data).token}
    except (msgspec.ValidationError, RecursionError):
        return None
    except ValueError:
        if has_surrogates(data):
            return None
        raise MalformedPacketError("malformed packet") from None
