"""Which connection hears what: the broadcast port over live Socket.IO connections.

The tables here are keyed by verified users and by rooms whose membership the application has
granted. No channel's name is ever made of what a client sent.
"""

from collections.abc import Collection, Mapping, Sequence

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.large_rooms import PART, Crowds, Telling
from socketio_app.adapters.fanout.subscriber import Outlet
from socketio_app.adapters.websocket.close_reasons import DISCONNECTED, EXPIRED
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.application.events import (
    Audience,
    DismissReason,
    Event,
    Members,
    MessageDelivered,
    MessageRead,
    MessageSent,
    OneConnection,
    UserJoined,
    UserLeft,
    Users,
)
from socketio_app.application.metrics import Measures
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId


class Hub:
    """Tells live connections what happened. Implements the `Broadcast` port.

    What happens in one room, every connection hears in one order, however large the room is.

    Args:
        encoding: how the connections' transport writes events.
        part: how many connections are told before the loop has its turn.
        measures: what counts the deliveries, if they are to be counted.
    """

    def __init__(
        self, encoding: Encoding, part: int = PART, measures: Measures | None = None
    ) -> None:
        self._encode = encoding.event_frame
        self._goodbye = encoding.goodbye
        self._measures = measures
        self._part = part
        self._outlets: dict[UserId, dict[ConnectionId, Outlet]] = {}
        self._audiences: dict[RoomId, dict[ConnectionId, Outlet]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        self._held: dict[UserId, set[RoomId]] = {}
        self._crowds = Crowds(part, measures)

    def attach(self, outlet: Outlet) -> None:
        """Let a connection hear what is for its user, and for the rooms the user is in."""
        self._outlets.setdefault(outlet.user_id, {})[outlet.connection_id] = outlet
        for room_id in self._rooms.get(outlet.user_id, ()):
            self._audiences[room_id][outlet.connection_id] = outlet
        for room_id in self._held.get(outlet.user_id, ()):
            outlet.hold_room(Room(room_id))

    def detach(self, outlet: Outlet) -> None:
        """Let it hear nothing any more."""
        outlets = self._outlets.get(outlet.user_id, {})
        if outlets.pop(outlet.connection_id, None) is None:
            return
        for room_id in self._rooms.get(outlet.user_id, ()):
            self._remove(room_id, (outlet.connection_id,))
        if not outlets:
            del self._outlets[outlet.user_id]
            self._rooms.pop(outlet.user_id, None)
            self._held.pop(outlet.user_id, None)

    async def keeping_up(self, room_id: RoomId) -> None:
        """See `Broadcast.keeping_up`."""
        if self._crowds.rooms:
            await self._crowds.keeping_up(room_id)

    def tell(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.tell`."""
        if isinstance(audience, Users):
            self._tell_users(event, audience)
            return
        if isinstance(audience, OneConnection):
            for outlet in self._outlets_of(audience):
                outlet.tell(event, self._encode(event))
            return
        members = self._audiences.get(audience.room_id, _NOBODY)
        if len(members) > self._part or audience.room_id in self._crowds.rooms:
            left_out = self._left_out(members, audience)
            telling = Telling(event, self._encode(event), tuple(members.values()), left_out)
            self._crowds.tell(audience.room_id, telling)
            return
        if members:
            self._tell_members(event, audience, members)

    def _tell_members(
        self, event: Event, audience: Members, members: Mapping[ConnectionId, Outlet]
    ) -> None:
        frame = self._encode(event)
        but_connection, but_user = audience.but_connection, audience.but_user
        told = 0
        for outlet in members.values():
            if outlet.connection_id != but_connection and outlet.user_id != but_user:
                told += 1
                try:
                    if outlet.direct is not None:
                        outlet.direct(frame)
                    else:
                        outlet.tell(event, frame)
                except Exception as error:  # noqa: BLE001  (logged there)
                    outlet.fail(error)
        if self._measures is not None:
            self._measures.told(event, told)

    def _tell_users(self, event: Event, audience: Users) -> None:
        if self._crowds.rooms and (room_id := _room_of(event)) in self._crowds.rooms:
            self._tell_users_in_turn(event, audience, room_id)
            return
        frame: Frame | None = None
        but_connection, told = audience.but_connection, 0
        message = event.message if type(event) is MessageSent else None
        recipient = message.to_user_id if message is not None else None
        for user_id in audience.user_ids:
            for outlet in self._outlets.get(user_id, _NOBODY).values():
                if outlet.connection_id != but_connection:
                    told += 1
                    frame = frame or self._encode(event)
                    try:
                        if outlet.direct is not None:
                            outlet.direct(frame)
                        elif not outlet.tell(event, frame):
                            continue
                        if message is not None and user_id == recipient:
                            outlet.expect(message)
                    except Exception as error:  # noqa: BLE001  (logged there)
                        outlet.fail(error)
        if self._measures is not None:
            self._measures.told(event, told)

    def _tell_users_in_turn(self, event: Event, audience: Users, room_id: RoomId) -> None:
        outlets = self._outlets_of(audience)
        if outlets:
            self._crowds.tell(room_id, Telling(event, self._encode(event), outlets))

    def dismiss(self, audience: Users | OneConnection, reason: DismissReason) -> None:
        """See `Broadcast.dismiss`."""
        for outlet in self._outlets_of(audience):
            self.detach(outlet)
            outlet.end(*self._ending(reason))

    def _ending(self, reason: DismissReason) -> tuple[str, Frame | None]:
        if reason == "token_expired":
            return EXPIRED, None  # clients reconnect by themselves, maybe with a new token
        return DISCONNECTED, self._goodbye

    def _outlets_of(self, audience: Users | OneConnection) -> Sequence[Outlet]:
        if isinstance(audience, OneConnection):
            outlet = self._outlets.get(audience.user_id, _NOBODY).get(audience.connection_id)
            return [] if outlet is None else [outlet]
        return [
            outlet
            for user_id in audience.user_ids
            for outlet in self._outlets.get(user_id, _NOBODY).values()
            if outlet.connection_id != audience.but_connection
        ]

    def hears(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `Broadcast.hears`."""
        return room_id in self._rooms.get(user_id, ()) and not self._is_held(room_id, user_id)

    def hold(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.hold`."""
        outlets = self._outlets.get(user_id)
        if outlets is None:
            return
        self._held.setdefault(user_id, set()).add(room_id)
        for outlet in outlets.values():
            outlet.hold_room(Room(room_id))
        self._enter(room_id, user_id, outlets)

    def enter(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        """See `Broadcast.enter`."""
        outlets = self._outlets.get(user_id)
        if outlets is None:
            return
        self._enter(room_id, user_id, outlets)
        if self._end_hold(room_id, user_id) or given_seq:
            for outlet in outlets.values():
                outlet.release_room(Room(room_id), given_seq)

    def leave(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.leave`."""
        rooms = self._rooms.get(user_id, set())
        if room_id not in rooms:
            return
        rooms.remove(room_id)
        outlets = self._outlets[user_id]
        self._remove(room_id, outlets)
        if self._end_hold(room_id, user_id):
            is_lagging = room_id in self._crowds.rooms
            for outlet in outlets.values():
                outlet.drop_room(Room(room_id), is_lagging=is_lagging)

    def _enter(
        self, room_id: RoomId, user_id: UserId, outlets: Mapping[ConnectionId, Outlet]
    ) -> None:
        rooms = self._rooms.setdefault(user_id, set())
        if room_id in rooms:
            return  # with all of the user's connections: `attach` sees to it
        rooms.add(room_id)
        self._audiences.setdefault(room_id, {}).update(outlets)

    def _is_held(self, room_id: RoomId, user_id: UserId) -> bool:
        return bool(self._held) and room_id in self._held.get(user_id, ())

    def _end_hold(self, room_id: RoomId, user_id: UserId) -> bool:
        """Hold the room back for the user no more. Whether it was held back."""
        if not self._is_held(room_id, user_id):
            return False
        self._held[user_id].remove(room_id)
        if not self._held[user_id]:
            del self._held[user_id]
        return True

    def _remove(self, room_id: RoomId, connection_ids: Collection[ConnectionId]) -> None:
        audience = self._audiences[room_id]
        for connection_id in connection_ids:
            del audience[connection_id]
        if not audience:
            del self._audiences[room_id]

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
