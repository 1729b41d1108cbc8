"""Which connection hears what: the broadcast port over live Socket.IO connections.

The tables here are keyed by verified users and by rooms whose membership the application has
granted. No channel's name is ever made of what a client sent.
"""

from collections.abc import Collection, Mapping, Sequence

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.large_rooms import PART, Crowds, Telling
from socketio_app.adapters.fanout.subscriber import Subscriber
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
from socketio_app.application.metrics import Metrics
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
        self, encoding: Encoding, part: int = PART, metrics: Metrics | None = None
    ) -> None:
        self._encode = encoding.event_frame
        self._goodbye = encoding.goodbye
        self._metrics = metrics
        self._part = part
        self._subscribers: dict[UserId, dict[ConnectionId, Subscriber]] = {}
        self._audiences: dict[RoomId, dict[ConnectionId, Subscriber]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        self._held: dict[UserId, set[RoomId]] = {}
        self._crowds = Crowds(part, metrics)

    def attach(self, subscriber: Subscriber) -> None:
        """Let a connection hear what is for its user, and for the rooms the user is in."""
        self._subscribers.setdefault(subscriber.user_id, {})[subscriber.connection_id] = subscriber
        for room_id in self._rooms.get(subscriber.user_id, ()):
            self._audiences[room_id][subscriber.connection_id] = subscriber
        for room_id in self._held.get(subscriber.user_id, ()):
            subscriber.hold_room(Room(room_id))

    def detach(self, subscriber: Subscriber) -> None:
        """Let it hear nothing any more."""
        subscribers = self._subscribers.get(subscriber.user_id, {})
        if subscribers.pop(subscriber.connection_id, None) is None:
            return
        for room_id in self._rooms.get(subscriber.user_id, ()):
            self._remove(room_id, (subscriber.connection_id,))
        if not subscribers:
            del self._subscribers[subscriber.user_id]
            self._rooms.pop(subscriber.user_id, None)
            self._held.pop(subscriber.user_id, None)

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """See `Broadcast.wait_until_caught_up`."""
        if self._crowds.rooms:
            await self._crowds.wait_until_caught_up(room_id)

    def tell(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.tell`."""
        if isinstance(audience, Users):
            self._tell_users(event, audience)
            return
        if isinstance(audience, OneConnection):
            for subscriber in self._subscribers_of(audience):
                subscriber.tell(event, self._encode(event))
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
        self, event: Event, audience: Members, members: Mapping[ConnectionId, Subscriber]
    ) -> None:
        frame = self._encode(event)
        except_connection, except_user = audience.except_connection, audience.except_user
        told = 0
        for subscriber in members.values():
            if subscriber.connection_id != except_connection and subscriber.user_id != except_user:
                told += 1
                try:
                    if subscriber.direct is not None:
                        subscriber.direct(frame)
                    else:
                        subscriber.tell(event, frame)
                except Exception as error:  # noqa: BLE001  (logged there)
                    subscriber.fail(error)
        if self._metrics is not None:
            self._metrics.told(event, told)

    def _tell_users(self, event: Event, audience: Users) -> None:
        if self._crowds.rooms and (room_id := _room_of(event)) in self._crowds.rooms:
            self._tell_users_in_turn(event, audience, room_id)
            return
        frame: Frame | None = None
        except_connection, told = audience.except_connection, 0
        message = event.message if type(event) is MessageSent else None
        recipient = message.to_user_id if message is not None else None
        for user_id in audience.user_ids:
            for subscriber in self._subscribers.get(user_id, _NOBODY).values():
                if subscriber.connection_id != except_connection:
                    told += 1
                    frame = frame or self._encode(event)
                    try:
                        if subscriber.direct is not None:
                            subscriber.direct(frame)
                        elif not subscriber.tell(event, frame):
                            continue
                        if message is not None and user_id == recipient:
                            subscriber.expect(message)
                    except Exception as error:  # noqa: BLE001  (logged there)
                        subscriber.fail(error)
        if self._metrics is not None:
            self._metrics.told(event, told)

    def _tell_users_in_turn(self, event: Event, audience: Users, room_id: RoomId) -> None:
        subscribers = self._subscribers_of(audience)
        if subscribers:
            self._crowds.tell(room_id, Telling(event, self._encode(event), subscribers))

    def dismiss(self, audience: Users | OneConnection, reason: DismissReason) -> None:
        """See `Broadcast.dismiss`."""
        for subscriber in self._subscribers_of(audience):
            self.detach(subscriber)
            subscriber.end(*self._ending(reason))

    def _ending(self, reason: DismissReason) -> tuple[str, Frame | None]:
        if reason == "token_expired":
            return EXPIRED, None  # clients reconnect by themselves, maybe with a new token
        return DISCONNECTED, self._goodbye

    def _subscribers_of(self, audience: Users | OneConnection) -> Sequence[Subscriber]:
        if isinstance(audience, OneConnection):
            subscriber = self._subscribers.get(audience.user_id, _NOBODY).get(
                audience.connection_id
            )
            return [] if subscriber is None else [subscriber]
        return [
            subscriber
            for user_id in audience.user_ids
            for subscriber in self._subscribers.get(user_id, _NOBODY).values()
            if subscriber.connection_id != audience.except_connection
        ]

    def hears(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `Broadcast.hears`."""
        return room_id in self._rooms.get(user_id, ()) and not self._is_held(room_id, user_id)

    def hold(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.hold`."""
        subscribers = self._subscribers.get(user_id)
        if subscribers is None:
            return
        self._held.setdefault(user_id, set()).add(room_id)
        for subscriber in subscribers.values():
            subscriber.hold_room(Room(room_id))
        self._enter(room_id, user_id, subscribers)

    def enter(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        """See `Broadcast.enter`."""
        subscribers = self._subscribers.get(user_id)
        if subscribers is None:
            return
        self._enter(room_id, user_id, subscribers)
        if self._end_hold(room_id, user_id) or given_seq:
            for subscriber in subscribers.values():
                subscriber.release_room(Room(room_id), given_seq)

    def leave(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.leave`."""
        rooms = self._rooms.get(user_id, set())
        if room_id not in rooms:
            return
        rooms.remove(room_id)
        subscribers = self._subscribers[user_id]
        self._remove(room_id, subscribers)
        if self._end_hold(room_id, user_id):
            is_lagging = room_id in self._crowds.rooms
            for subscriber in subscribers.values():
                subscriber.drop_room(Room(room_id), is_lagging=is_lagging)

    def _enter(
        self, room_id: RoomId, user_id: UserId, subscribers: Mapping[ConnectionId, Subscriber]
    ) -> None:
        rooms = self._rooms.setdefault(user_id, set())
        if room_id in rooms:
            return  # with all of the user's connections: `attach` sees to it
        rooms.add(room_id)
        self._audiences.setdefault(room_id, {}).update(subscribers)

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
        self, members: Mapping[ConnectionId, Subscriber], audience: Members
    ) -> Sequence[Subscriber]:
        left_out: list[Subscriber] = []
        if audience.except_user is not None:
            left_out += self._subscribers.get(audience.except_user, _NOBODY).values()
        if audience.except_connection is not None and audience.except_connection in members:
            left_out.append(members[audience.except_connection])
        return left_out


_NOBODY: Mapping[ConnectionId, Subscriber] = {}


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
