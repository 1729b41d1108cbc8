"""Which connections each user has open: tabs and devices."""

import attrs

from socketio_app.domain.identifiers import ConnectionId, UserId


@attrs.define
class Connections:
    """The open connections of every user."""

    _by_user: dict[UserId, set[ConnectionId]] = attrs.field(factory=dict, init=False)

    def open(self, user_id: UserId, connection_id: ConnectionId) -> bool:
        """Count a connection in. Whether it is the user's only one."""
        connections = self._by_user.setdefault(user_id, set())
        connections.add(connection_id)
        return len(connections) == 1

    def close(self, user_id: UserId, connection_id: ConnectionId) -> bool:
        """Count a connection out. Whether it was open and the user's last."""
        connections = self._by_user.get(user_id, set())
        if connection_id not in connections:
            return False
        connections.remove(connection_id)
        if connections:
            return False
        del self._by_user[user_id]
        return True

    def is_online(self, user_id: UserId) -> bool:
        """Whether the user has a connection open."""
        return user_id in self._by_user

    def count(self) -> int:
        """How many connections are open, of all users."""
        return sum(map(len, self._by_user.values()))
