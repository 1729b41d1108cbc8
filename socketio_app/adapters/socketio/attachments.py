"""Events with binary attachments (Socket.IO protocol 5, "Binary event").

No command has any: they are dropped unread, and then the event is refused.
"""

import attrs

from socketio_app.adapters.socketio.events import CommandEvent, binary_event_of, event_in
from socketio_app.adapters.socketio.packets import IncomingPacket, MalformedPacketError

MAX_ATTACHMENTS = 16
"""Attachments of one event; more end the connection."""


@attrs.define
class _Pending:
    event: CommandEvent
    left: int


class Attachments:
    """The events of which attachments are still to come, by connection."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, eio_sid: object) -> bool:
        return eio_sid in self._pending

    def announce(self, eio_sid: str, packet: IncomingPacket) -> None:
        """Expect the attachments of an event.

        Raises:
            MalformedPacketError: it is no event, or has none or too many of them.
        """
        event = event_in(packet, binary_event_of)
        if not 0 < packet.attachment_count <= MAX_ATTACHMENTS:
            raise MalformedPacketError("an event with too many or no binary attachments")
        self._pending[eio_sid] = _Pending(event, packet.attachment_count)

    def drop(self, eio_sid: str, size: int) -> CommandEvent | None:
        """Drop an attachment; return its event after the last."""
        pending = self._pending[eio_sid]
        pending.left -= 1
        pending.event.dropped_bytes += size
        if pending.left:
            return None
        return self._pending.pop(eio_sid).event

    def forget(self, eio_sid: str) -> None:
        """Expect no more from a connection, which is gone."""
        self._pending.pop(eio_sid, None)
