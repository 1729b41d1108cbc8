"""Engine.IO packets between polling requests and the rest, which has WebSocket frames."""

from base64 import b64decode
from collections.abc import Sequence

from engineio.packet import Packet as EnginePacket
from starlette.types import Receive

from socketio_app.adapters.engineio.environ import TooLongError
from socketio_app.adapters.engineio.packets import MessagePacket
from socketio_app.adapters.websocket import frames
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import Message

RECORD_SEPARATOR = b"\x1e"
"""Stands between the packets of one polling request (Engine.IO protocol 4, "Packet encoding")."""


MAX_POST_PACKETS = 16
"""Packets in a polling request that is larger than the limit of one packet.

python-engineio's client puts that many into a request, whatever `maxPayload` says.
"""


def max_post_bytes(max_packet_bytes: int) -> int:
    """Maximum size of a polling request, in bytes."""
    return MAX_POST_PACKETS * (max_packet_bytes + len(RECORD_SEPARATOR))


def packets_in(body: bytes, max_packet_bytes: int) -> Sequence[bytes]:
    """Return the packets of a polling request.

    Raises:
        TooLongError: a packet is over the limit, or there are too many large ones.
    """
    if len(body) <= max_packet_bytes:
        return body.split(RECORD_SEPARATOR)
    packets = body.split(RECORD_SEPARATOR, MAX_POST_PACKETS)
    if len(packets) > MAX_POST_PACKETS or max(map(len, packets)) > max_packet_bytes:
        raise TooLongError
    return packets


async def given_up_by(receive: Receive) -> None:
    """Wait until a client gives its poll up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def message_of(packet: bytes) -> Message:
    """A polling client's packet; binary content is in base 64, after a `b`.

    What is neither that nor UTF-8 becomes an empty packet, which is not Engine.IO.
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


def frame_of(packet: EnginePacket) -> Frame:
    """What waited for a poll, as a WebSocket frame: the client has changed to one."""
    if isinstance(packet, MessagePacket):
        return packet.frame
    encoded = packet.encode()
    if isinstance(encoded, bytes):
        return frames.frame(frames.BINARY, encoded)
    return frames.frame(frames.TEXT, encoded.encode())
