"""Events with binary attachments (Socket.IO protocol 5, "Binary event").

No command has any: they are dropped unread, and then the event is refused.
"""

from typing import Self

import attrs

from socketio_app.adapters.socketio.events import CommandEvent, binary_event_of, event_in
from socketio_app.adapters.socketio.packets import IncomingPacket, MalformedPacketError

MAX_ATTACHMENTS = 16
"""Maximum number of attachments of one event."""


@attrs.define
class PendingEvent:
    """An event whose attachments have not all arrived."""

    event: CommandEvent
    _attachments_left: int

    @classmethod
    def of(cls, packet: IncomingPacket) -> Self:
        """Return the event in a packet.

        Raises:
            MalformedPacketError: it is no event, or has no attachments, or too many of them.
        """
        event = event_in(packet, binary_event_of)
        if not 0 < packet.attachment_count <= MAX_ATTACHMENTS:
            raise MalformedPacketError("too many or no binary attachments")
        return cls(event, packet.attachment_count)

    def drop(self, size: int) -> CommandEvent | None:
        """Drop an attachment of `size` bytes; return the event after the last one."""
        self._attachments_left -= 1
        self.event.dropped_bytes += size
        return None if self._attachments_left else self.event
