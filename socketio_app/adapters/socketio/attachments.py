"""Events with binary attachments (Socket.IO protocol 5, "Binary event").

No command has attachments: they are dropped unread, and then the event is rejected.
"""

from typing import Self

import attrs

from socketio_app.adapters.socketio.events import CommandEvent, binary_event_of, event_in
from socketio_app.adapters.socketio.packets import IncomingPacket, MalformedPacketError

MAX_ATTACHMENTS = 16
"""Maximum number of attachments per event."""


@attrs.define
class PendingEvent:
    """An event whose attachments have not all arrived."""

    event: CommandEvent
    _attachments_left: int

    @classmethod
    def of(cls, packet: IncomingPacket) -> Self:
        """Return the event in a packet.

        Raises:
            MalformedPacketError: it is not an event, or has no attachments or too many.
        """
        event = event_in(packet, binary_event_of)
        if not 0 < packet.attachment_count <= MAX_ATTACHMENTS:
            raise MalformedPacketError("invalid number of binary attachments")
        return cls(event, packet.attachment_count)

    def drop(self, size: int) -> CommandEvent | None:
        """Drop an attachment of `size` bytes. Return the event after the last one, else `None`."""
        self._attachments_left -= 1
        self.event.dropped_bytes += size
        return None if self._attachments_left else self.event
