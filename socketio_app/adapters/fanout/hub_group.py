"""Several hubs, one for each transport, as one."""

from collections.abc import Sequence

from socketio_app.adapters.fanout.hub import Hub
from socketio_app.application.events import (
    Audience,
    DisconnectReason,
    Event,
    OneConnection,
    Users,
)
from socketio_app.domain.identifiers import RoomId, UserId


class HubGroup:
    """Publishes events through the hub of each transport. Implements the `Broadcast` port."""

    def __init__(self, hubs: Sequence[Hub]) -> None:
        self._hubs = hubs

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """See `Broadcast.wait_until_caught_up`."""
        for hub in self._hubs:
            await hub.wait_until_caught_up(room_id)

    def publish(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.publish`."""
        for hub in self._hubs:
            hub.publish(event, audience)

    def disconnect(self, audience: Users | OneConnection, reason: DisconnectReason) -> None:
        """See `Broadcast.disconnect`."""
        for hub in self._hubs:
            hub.disconnect(audience, reason)

    def is_subscribed(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `Broadcast.is_subscribed`."""
        hubs = [hub for hub in self._hubs if hub.has_user(user_id)]
        return bool(hubs) and all(hub.is_subscribed(room_id, user_id) for hub in hubs)

    def pause(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.pause`."""
        for hub in self._hubs:
            hub.pause(room_id, user_id)

    def subscribe(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        """See `Broadcast.subscribe`."""
        for hub in self._hubs:
            hub.subscribe(room_id, user_id, given_seq)

    def unsubscribe(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.unsubscribe`."""
        for hub in self._hubs:
            hub.unsubscribe(room_id, user_id)
