"""Conversion between Engine.IO packets in polling requests and WebSocket messages and frames."""

from base64 import b64decode
from collections.abc import Sequence

from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.environ import BodyTooLongError
from socketio_app.adapters.engineio.packets import MessagePacket
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import Message

RECORD_SEPARATOR = b"\x1e"
"""Separator of the packets in a polling request (Engine.IO protocol 4, "Packet encoding")."""


MAX_POST_PACKETS = 16
"""Maximum number of packets in a polling request that is larger than the limit of one packet.

python-engineio's client sends this many in a request, regardless of `maxPayload`.
"""


def max_post_bytes(max_packet_bytes: int) -> int:
    """Maximum size of a polling request, in bytes."""
    return MAX_POST_PACKETS * (max_packet_bytes + len(RECORD_SEPARATOR))


def split_packets(body: bytes, max_packet_bytes: int) -> Sequence[bytes]:
    """Return the packets of a polling request.

    Raises:
        TooLongError: a packet exceeds the limit, or a large request has too many packets.
    """
    if len(body) <= max_packet_bytes:
        return body.split(RECORD_SEPARATOR)
    packets = body.split(RECORD_SEPARATOR, MAX_POST_PACKETS)
    if len(packets) > MAX_POST_PACKETS or max(map(len, packets)) > max_packet_bytes:
        raise BodyTooLongError
    return packets


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client disconnects from a poll."""
    while (await receive())["type"] != "http.disconnect":
        pass


def decode_message(packet: bytes) -> Message:
    """Decode a polling client's packet; binary content is in base64, after a `b`.

    Invalid base64 or UTF-8 becomes an empty packet, which is not valid Engine.IO.
    """
    if packet.startswith(b"b"):
        try:
            return frames.BINARY, b64decode(packet[1:], validate=True)
        except ValueError:
            return frames.TEXT, b""
    return frames.TEXT, packet if packet.isascii() or _is_utf8(packet) else b""


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def encode_frame(packet: EnginePacket) -> Frame:
    """Convert a packet queued for polling to a WebSocket frame, for an upgraded client."""
    if isinstance(packet, MessagePacket):
        return packet.frame
    encoded = packet.encode()
    if isinstance(encoded, bytes):
        return frames.frame(frames.BINARY, encoded)
    return frames.frame(frames.TEXT, encoded.encode())
