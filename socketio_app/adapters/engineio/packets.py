"""Engine.IO packets of messages queued for polling clients."""

from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.websocket.frames import Frame, contents


class MessagePacket(EnginePacket):
    """A message queued for a polling client."""

    packet_type = MESSAGE

    def __init__(self, frame: Frame) -> None:
        """Wrap a message, given as the WebSocket frame used everywhere else."""
        self.frame = frame

    def encode(self, b64: bool = False) -> str:  # noqa: FBT001, FBT002  (python-engineio's signature)
        """Encode the packet for python-engineio."""
        del b64
        _, encoded = contents(self.frame)
        return encoded.decode()
