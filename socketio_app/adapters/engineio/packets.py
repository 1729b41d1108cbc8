"""Engine.IO packets of messages that wait for a poll."""

from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket

from socketio_app.adapters.websocket.frames import Frame, contents


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
