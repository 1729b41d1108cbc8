"""Which connection hears what: the broadcast port over live Socket.IO connections.

The tables here are keyed by verified users and by rooms whose membership the application has
granted. No channel's name is ever made of what a client sent.
"""

from collections.abc import Collection, Mapping, Sequence

from socketio_app.adapters.socketio.crowds import PART, Crowds, Telling
from socketio_app.adapters.socketio.outlet import Outlet, frame_of
from socketio_app.application.events import (
    Audience,
    Event,
    Members,
    MessageDelivered,
    MessageRead,
    UserJoined,
    UserLeft,
    Users,
)
from socketio_app.application.measures import Measures
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId


class Hub:
    """Tells live connections what happened. Implements the `Broadcast` port.

    What happens in one room, every connection hears in one order, however large the room is.

    Args:
        part: how many connections are told before the loop has its turn.
        measures: what counts the deliveries, if they are to be counted.
    """

    def __init__(self, part: int = PART, measures: Measures | None = None) -> None:
        self._measures = measures
        self._part = part
        self._outlets: dict[UserId, dict[ConnectionId, Outlet]] = {}
        self._audiences: dict[RoomId, dict[ConnectionId, Outlet]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        self._crowds = Crowds(part, measures)

    def attach(self, outlet: Outlet) -> None:
        """Let a connection hear what is for its user, and for the rooms the user is in."""
        self._outlets.setdefault(outlet.user_id, {})[outlet.connection_id] = outlet
        for room_id in self._rooms.setdefault(outlet.user_id, set()):
            self._audiences[room_id][outlet.connection_id] = outlet

    def detach(self, outlet: Outlet) -> None:
        """Let it hear nothing any more."""
        outlets = self._outlets.get(outlet.user_id, {})
        if outlets.pop(outlet.connection_id, None) is None:
            return
        for room_id in self._rooms[outlet.user_id]:
            self._remove(room_id, (outlet.connection_id,))
        if not outlets:
            del self._outlets[outlet.user_id]
            del self._rooms[outlet.user_id]

    def tell(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.tell`."""
        if isinstance(audience, Members):
            members = self._audiences.get(audience.room_id, _NOBODY)
            if len(members) > self._part or self._crowds.are_told_in(audience.room_id):
                left_out = self._left_out(members, audience)
                telling = Telling(event, frame_of(event), tuple(members.values()), left_out)
                self._crowds.tell(audience.room_id, telling)
                return
            outlets: Collection[Outlet] = members.values()
            if audience.but_user is not None:
                outlets = [each for each in outlets if each.user_id != audience.but_user]
        else:
            outlets = [
                outlet
                for user_id in audience.user_ids
                if user_id in self._outlets
                for outlet in self._outlets[user_id].values()
            ]
        if not outlets:
            return
        frame = frame_of(event)
        if self._crowds and self._has_to_wait(event, frame, outlets, audience):
            return
        but_connection, told = audience.but_connection, len(outlets)
        for outlet in outlets:
            if outlet.connection_id != but_connection:
                if outlet.direct is not None:
                    outlet.direct(frame)
                else:
                    outlet.tell(event, frame)
            else:
                told -= 1
        if self._measures is not None:
            self._measures.told(event, told)

    def enter(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.enter`."""
        outlets = self._outlets.get(user_id)
        if outlets is None:
            return
        self._rooms[user_id].add(room_id)
        self._audiences.setdefault(room_id, {}).update(outlets)

    def leave(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.leave`."""
        rooms = self._rooms.get(user_id, set())
        if room_id in rooms:
            rooms.remove(room_id)
            self._remove(room_id, self._outlets[user_id])

    def _remove(self, room_id: RoomId, connection_ids: Collection[ConnectionId]) -> None:
        audience = self._audiences[room_id]
        for connection_id in connection_ids:
            del audience[connection_id]
        if not audience:
            del self._audiences[room_id]

    def _has_to_wait(
        self, event: Event, frame: bytes, outlets: Collection[Outlet], audience: Audience
    ) -> bool:
        """Whether an event for some users waits for what is being told in its room."""
        room_id = _room_of(event) if isinstance(audience, Users) else None
        if room_id is None or not self._crowds.are_told_in(room_id):
            return False
        told = [each for each in outlets if each.connection_id != audience.but_connection]
        self._crowds.tell(room_id, Telling(event, frame, tuple(told)))
        return True

    def _left_out(
        self, members: Mapping[ConnectionId, Outlet], audience: Members
    ) -> Sequence[Outlet]:
        left_out: list[Outlet] = []
        if audience.but_user is not None:
            left_out += self._outlets.get(audience.but_user, _NOBODY).values()
        if audience.but_connection is not None and audience.but_connection in members:
            left_out.append(members[audience.but_connection])
        return left_out


_NOBODY: Mapping[ConnectionId, Outlet] = {}


def _room_of(event: Event) -> RoomId | None:
    """The room that an event for some users is about."""
    conversation: Conversation | None = None
    if isinstance(event, UserJoined | UserLeft):
        return event.room_id
    if isinstance(event, MessageDelivered):
        conversation = event.message.conversation
    elif isinstance(event, MessageRead):
        conversation = event.conversation
    return conversation.room_id if isinstance(conversation, Room) else None
