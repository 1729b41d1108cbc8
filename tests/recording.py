"""A broadcast that remembers what each connection was told."""

from collections import defaultdict

from socketio_app.application.events import Audience, Event, Members, Users
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId


class RecordingBroadcast:
    """Implements the `Broadcast` port for connections that only listen."""

    def __init__(self) -> None:
        self.told: dict[str, list[Event]] = defaultdict(list)
        self._users: dict[ConnectionId, UserId] = {}
        self._members: dict[RoomId, set[UserId]] = defaultdict(set)

    def listen(self, user_id: UserId, connection_id: ConnectionId) -> None:
        self._users[connection_id] = user_id

    def end(self, connection_id: ConnectionId) -> None:
        del self._users[connection_id]

    def tell(self, event: Event, audience: Audience) -> None:
        for connection_id, user_id in self._users.items():
            if self._hears(audience, connection_id, user_id):
                self.told[connection_id].append(event)

    def enter(self, room_id: RoomId, user_id: UserId) -> None:
        self._members[room_id].add(user_id)

    def leave(self, room_id: RoomId, user_id: UserId) -> None:
        self._members[room_id].discard(user_id)

    def _hears(self, audience: Audience, connection_id: ConnectionId, user_id: UserId) -> bool:
        if connection_id == audience.but_connection:
            return False
        match audience:
            case Users(user_ids):
                return user_id in user_ids
            case Members(room_id, _, but_user):
                return user_id in self._members[room_id] and user_id != but_user
