"""The open connections of each user: tabs and devices."""

import attrs

from socketio_app.domain.errors import TooManyConnections
from socketio_app.domain.identifiers import ConnectionId, UserId


@attrs.define
class Connections:
    """The open connections of every user.

    Args:
        most: maximum number of connections per user; 0 means unlimited.
    """

    max_per_user: int = 0
    # Few users have more than one: a tuple of one takes a quarter of a set's memory.
    _by_user: dict[UserId, tuple[ConnectionId, ...]] = attrs.field(factory=dict, init=False)
    _opening: dict[UserId, set[ConnectionId]] = attrs.field(factory=dict, init=False)

    def admit(self, user_id: UserId, connection_id: ConnectionId) -> None:
        """Reserve a slot for a connection that is being opened; `open` or `close` must follow.

        Raises:
            TooManyConnections: the user already has the maximum number of connections.
        """
        opening = self._opening.get(user_id, set())
        open_already = len(self._by_user.get(user_id, ()))
        if self.max_per_user and open_already + len(opening) >= self.max_per_user:
            raise TooManyConnections(
                f"you have {self.max_per_user} connections, the maximum for one user"
            )
        self._opening.setdefault(user_id, opening).add(connection_id)

    def open(self, user_id: UserId, connection_id: ConnectionId) -> bool:
        """Add a connection; return whether it is the user's only one."""
        self._is_no_longer_opening(user_id, connection_id)
        connections = self._by_user[user_id] = (*self._by_user.get(user_id, ()), connection_id)
        return len(connections) == 1

    def close(self, user_id: UserId, connection_id: ConnectionId) -> bool:
        """Remove a connection; return whether it was the user's last open one."""
        self._is_no_longer_opening(user_id, connection_id)
        connections = self._by_user.get(user_id, ())
        if connection_id not in connections:
            return False
        place = connections.index(connection_id)
        left = connections[:place] + connections[place + 1 :]
        if left:
            self._by_user[user_id] = left
            return False
        del self._by_user[user_id]
        return True

    def is_online(self, user_id: UserId) -> bool:
        """Whether the user has a connection open."""
        return user_id in self._by_user

    def is_open(self, user_id: UserId, connection_id: ConnectionId) -> bool:
        """Whether a connection is open."""
        return connection_id in self._by_user.get(user_id, ())

    def count(self) -> int:
        """Return the number of open connections of all users."""
        return sum(map(len, self._by_user.values()))

    def _is_no_longer_opening(self, user_id: UserId, connection_id: ConnectionId) -> None:
        opening = self._opening.get(user_id)
        if opening is not None:
            opening.discard(connection_id)
            if not opening:
                del self._opening[user_id]
