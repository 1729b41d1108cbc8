"""A `Broadcast` that records the events sent to each connection."""

from collections import defaultdict
from collections.abc import Sequence

import attrs

from socketio_app.application.events import (
    Audience,
    DisconnectReason,
    Event,
    Members,
    MessageSent,
    OneConnection,
    Users,
)
from socketio_app.application.live_merge import LiveMerge
from socketio_app.application.opening import Opening
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from socketio_app.domain.messaging import Message


@attrs.define(eq=False)
class RecordingConnection:
    """A connection that receives events.

    While it opens, events are held back, as `Sessions` requires of a transport.
    """

    user_id: UserId
    connection_id: ConnectionId
    events: list[Event] = attrs.field(factory=list, init=False)
    disconnect_reason: DisconnectReason | None = attrs.field(default=None, init=False)
    unconfirmed: list[Message] = attrs.field(factory=list, init=False)
    """Messages to the user that were written but not confirmed by the client."""
    merge: LiveMerge = attrs.field(factory=lambda: LiveMerge(holds_all=True), init=False)

    def deliver(self, event: Event) -> None:
        if self.merge.admit(event):
            self.write([event])

    def release(self, opening: Opening) -> None:
        """Write the first events, and those that were held back."""
        self.write([opening.connected, *self.merge.open(opening.backlog)])

    def write(self, events: Sequence[Event]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, MessageSent) and event.message.to_user_id == self.user_id:
                self.unconfirmed.append(event.message)


class RecordingBroadcast:
    """Implements the `Broadcast` port, and stores no more about a user than the port promises.

    When a user's last connection closes, their subscriptions are forgotten.
    """

    def __init__(self) -> None:
        self.publications: list[tuple[Event, Audience]] = []
        """Everything that was published, in order."""
        self._connections: list[RecordingConnection] = []
        self._members: dict[RoomId, set[UserId]] = defaultdict(set)
        self._held: set[tuple[RoomId, UserId]] = set()
        self._recent_joins: dict[UserId, dict[RoomId, int]] = defaultdict(dict)

    def open(self, user_id: UserId, connection_id: ConnectionId) -> RecordingConnection:
        connection = RecordingConnection(user_id, connection_id)
        for joined, last_seq in self._recent_joins[user_id].items():
            connection.merge.skip(Room(joined), last_seq)
        for room_id, held_from in self._held:
            if held_from == user_id:
                connection.merge.hold_room(Room(room_id))
        self._connections.append(connection)
        return connection

    def close(self, connection: RecordingConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        if not self._is_connected(connection.user_id):
            for members in self._members.values():
                members.discard(connection.user_id)
            self._held = {each for each in self._held if each[1] != connection.user_id}

    def disconnect(self, audience: Users | OneConnection, reason: DisconnectReason) -> None:
        for connection in [each for each in self._connections if self._is_in(audience, each)]:
            connection.disconnect_reason = reason
            self.close(connection)

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """Return immediately, because publishing is immediate."""

    def publish(self, event: Event, audience: Audience) -> None:
        self.publications.append((event, audience))
        for connection in self._connections:
            if self._is_in(audience, connection):
                connection.deliver(event)

    def is_subscribed(self, room_id: RoomId, user_id: UserId) -> bool:
        return user_id in self._members[room_id] and (room_id, user_id) not in self._held

    def pause(self, room_id: RoomId, user_id: UserId) -> None:
        if self._is_connected(user_id):
            self._held.add((room_id, user_id))
            self._members[room_id].add(user_id)
        for connection in self._of(user_id):
            connection.merge.hold_room(Room(room_id))

    def subscribe(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        if given_seq:
            self._recent_joins[user_id][room_id] = given_seq
        if self._is_connected(user_id):
            self._members[room_id].add(user_id)
        self._held.discard((room_id, user_id))
        for connection in self._of(user_id):
            connection.write(connection.merge.release_room(Room(room_id), given_seq))

    def unsubscribe(self, room_id: RoomId, user_id: UserId) -> None:
        self._members[room_id].discard(user_id)
        self._held.discard((room_id, user_id))
        for connection in self._of(user_id):
            connection.merge.drop_room(Room(room_id), user_id, is_lagging=False)

    def _of(self, user_id: UserId) -> list[RecordingConnection]:
        return [connection for connection in self._connections if connection.user_id == user_id]

    def _is_connected(self, user_id: UserId) -> bool:
        return any(connection.user_id == user_id for connection in self._connections)

    def _is_in(self, audience: Audience, connection: RecordingConnection) -> bool:
        if isinstance(audience, OneConnection):
            return connection.connection_id == audience.connection_id
        if connection.connection_id == audience.except_connection:
            return False
        match audience:
            case Users(user_ids):
                return connection.user_id in user_ids
            case Members(room_id, _, except_user):
                return connection.user_id in self._members[room_id] - {except_user}
