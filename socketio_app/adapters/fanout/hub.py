"""Fan-out: publishes events to the live connections of users and rooms.

The tables are keyed by authenticated users and by rooms whose membership the application has
checked. Clients cannot choose other keys.
"""

from collections.abc import Collection, Mapping, Sequence

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.large_rooms import SLICE_CONNECTIONS, Delivery, LargeRooms
from socketio_app.adapters.fanout.recent_joins import RecentJoins
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.websocket.close_reasons import DISCONNECTED, EXPIRED
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.application.events import (
    Audience,
    DisconnectReason,
    Event,
    Members,
    MessageSent,
    OneConnection,
    Users,
)
from socketio_app.application.metrics import Metrics
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId


class Hub:
    """Publishes events to live connections. Implements the `Broadcast` port.

    All connections receive the events of a room in the same order, whatever its size.

    Args:
        encoding: encodes events for the connections' transport.
        slice_connections: maximum number of connections written to in one iteration of the event
            loop.
        metrics: counts deliveries, if given.
    """

    def __init__(
        self,
        encoding: Encoding,
        slice_connections: int = SLICE_CONNECTIONS,
        metrics: Metrics | None = None,
    ) -> None:
        self._encode = encoding.event_frame
        self._last_frame = encoding.last_frame
        self._metrics = metrics
        self._slice_connections = slice_connections
        self._subscribers: dict[UserId, dict[ConnectionId, Subscriber]] = {}
        self._audiences: dict[RoomId, dict[ConnectionId, Subscriber]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        self._paused: dict[UserId, set[RoomId]] = {}
        self._recent_joins = RecentJoins()
        self._large_rooms = LargeRooms(slice_connections, metrics)

    def attach(self, subscriber: Subscriber) -> None:
        """Add a connection. It receives the events of its user and of the user's rooms."""
        self._subscribers.setdefault(subscriber.user_id, {})[subscriber.connection_id] = subscriber
        for room_id in self._rooms.get(subscriber.user_id, ()):
            self._audiences[room_id][subscriber.connection_id] = subscriber
        for room_id in self._paused.get(subscriber.user_id, ()):
            subscriber.hold_room(Room(room_id))
        for room_id, last_seq in self._recent_joins.of(subscriber.user_id):
            subscriber.skip(Room(room_id), last_seq)

    def detach(self, subscriber: Subscriber) -> None:
        """Remove a connection."""
        subscribers = self._subscribers.get(subscriber.user_id, {})
        if subscribers.pop(subscriber.connection_id, None) is None:
            return
        for room_id in self._rooms.get(subscriber.user_id, ()):
            self._remove(room_id, (subscriber.connection_id,))
        if not subscribers:
            del self._subscribers[subscriber.user_id]
            self._rooms.pop(subscriber.user_id, None)
            self._paused.pop(subscriber.user_id, None)

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """See `Broadcast.wait_until_caught_up`."""
        if self._large_rooms.rooms:
            await self._large_rooms.wait_until_caught_up(room_id)

    def publish(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.publish`."""
        if isinstance(audience, Users):
            self._publish_to_users(event, audience)
            return
        if isinstance(audience, OneConnection):
            for subscriber in self._subscribers_of(audience):
                subscriber.deliver(event, self._encode(event))
            return
        members = self._audiences.get(audience.room_id, _NO_SUBSCRIBERS)
        if len(members) > self._slice_connections or audience.room_id in self._large_rooms.rooms:
            excluded = self._excluded(members, audience)
            delivery = Delivery(event, self._encode(event), tuple(members.values()), excluded)
            self._large_rooms.deliver(audience.room_id, delivery)
            return
        if members:
            self._publish_to_members(event, audience, members)

    def _publish_to_members(
        self, event: Event, audience: Members, members: Mapping[ConnectionId, Subscriber]
    ) -> None:
        frame = self._encode(event)
        except_connection, except_user = audience.except_connection, audience.except_user
        recipients = 0
        for subscriber in members.values():
            if subscriber.connection_id != except_connection and subscriber.user_id != except_user:
                recipients += 1
                try:
                    if subscriber.write_directly is not None:
                        subscriber.write_directly(frame)
                    else:
                        subscriber.deliver(event, frame)
                except Exception as error:  # noqa: BLE001  (`fail` logs it)
                    subscriber.fail(error)
        if self._metrics is not None:
            self._metrics.count_broadcast(event, recipients)

    def _publish_to_users(self, event: Event, audience: Users) -> None:
        if self._large_rooms.rooms and (room_id := self._lagging_room(event)) is not None:
            self._queue_for_users(event, audience, room_id)
            return
        frame: Frame | None = None
        except_connection, recipients = audience.except_connection, 0
        message = event.message if type(event) is MessageSent else None
        recipient = None if message is None else message.to_user_id
        for user_id in audience.user_ids:
            for subscriber in self._subscribers.get(user_id, _NO_SUBSCRIBERS).values():
                if subscriber.connection_id != except_connection:
                    recipients += 1
                    frame = frame or self._encode(event)
                    try:
                        if subscriber.write_directly is not None:
                            subscriber.write_directly(frame)
                        elif not subscriber.deliver(event, frame):
                            continue
                        if message is not None and user_id == recipient:
                            subscriber.expect(message)
                    except Exception as error:  # noqa: BLE001  (`fail` logs it)
                        subscriber.fail(error)
        if self._metrics is not None:
            self._metrics.count_broadcast(event, recipients)

    def _lagging_room(self, event: Event) -> RoomId | None:
        """Return the event's room if earlier events of the room are still being delivered."""
        room = event.conversation
        if isinstance(room, Room) and room.room_id in self._large_rooms.rooms:
            return room.room_id
        return None

    def _queue_for_users(self, event: Event, audience: Users, room_id: RoomId) -> None:
        subscribers = self._subscribers_of(audience)
        if subscribers:
            self._large_rooms.deliver(room_id, Delivery(event, self._encode(event), subscribers))

    def disconnect(self, audience: Users | OneConnection, reason: DisconnectReason) -> None:
        """See `Broadcast.disconnect`."""
        for subscriber in self._subscribers_of(audience):
            self.detach(subscriber)
            subscriber.dismiss(*self._reason_and_last_frame(reason))

    def _reason_and_last_frame(self, reason: DisconnectReason) -> tuple[str, Frame | None]:
        if reason == "token_expired":
            return EXPIRED, None  # clients reconnect by themselves, possibly with a new token
        return DISCONNECTED, self._last_frame

    def _subscribers_of(self, audience: Users | OneConnection) -> Sequence[Subscriber]:
        if isinstance(audience, OneConnection):
            subscriber = self._subscribers.get(audience.user_id, _NO_SUBSCRIBERS).get(
                audience.connection_id
            )
            return [] if subscriber is None else [subscriber]
        return [
            subscriber
            for user_id in audience.user_ids
            for subscriber in self._subscribers.get(user_id, _NO_SUBSCRIBERS).values()
            if subscriber.connection_id != audience.except_connection
        ]

    def has_user(self, user_id: UserId) -> bool:
        """Whether the user has a connection in this hub."""
        return user_id in self._subscribers

    def is_subscribed(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `Broadcast.is_subscribed`."""
        return room_id in self._rooms.get(user_id, ()) and not self._is_paused(room_id, user_id)

    def pause(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.pause`."""
        subscribers = self._subscribers.get(user_id)
        if subscribers is None:
            return
        self._paused.setdefault(user_id, set()).add(room_id)
        for subscriber in subscribers.values():
            subscriber.hold_room(Room(room_id))
        self._subscribe(room_id, user_id, subscribers)

    def subscribe(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        """See `Broadcast.subscribe`."""
        if given_seq:
            self._recent_joins.add(user_id, room_id, given_seq)
        subscribers = self._subscribers.get(user_id)
        if subscribers is None:
            return
        self._subscribe(room_id, user_id, subscribers)
        if self._end_pause(room_id, user_id) or given_seq:
            for subscriber in subscribers.values():
                subscriber.release_room(Room(room_id), given_seq)

    def unsubscribe(self, room_id: RoomId, user_id: UserId) -> None:
        """See `Broadcast.unsubscribe`."""
        rooms = self._rooms.get(user_id, set())
        if room_id not in rooms:
            return
        rooms.remove(room_id)
        subscribers = self._subscribers[user_id]
        self._remove(room_id, subscribers)
        if self._end_pause(room_id, user_id):
            is_lagging = room_id in self._large_rooms.rooms
            for subscriber in subscribers.values():
                subscriber.drop_room(Room(room_id), is_lagging=is_lagging)

    def _subscribe(
        self, room_id: RoomId, user_id: UserId, subscribers: Mapping[ConnectionId, Subscriber]
    ) -> None:
        rooms = self._rooms.setdefault(user_id, set())
        if room_id in rooms:
            return  # `attach` has added the user's later connections
        rooms.add(room_id)
        self._audiences.setdefault(room_id, {}).update(subscribers)

    def _is_paused(self, room_id: RoomId, user_id: UserId) -> bool:
        return bool(self._paused) and room_id in self._paused.get(user_id, ())

    def _end_pause(self, room_id: RoomId, user_id: UserId) -> bool:
        """Resume delivery of a room to a user. Return whether it was paused."""
        if not self._is_paused(room_id, user_id):
            return False
        self._paused[user_id].remove(room_id)
        if not self._paused[user_id]:
            del self._paused[user_id]
        return True

    def _remove(self, room_id: RoomId, connection_ids: Collection[ConnectionId]) -> None:
        audience = self._audiences[room_id]
        for connection_id in connection_ids:
            del audience[connection_id]
        if not audience:
            del self._audiences[room_id]

    def _excluded(
        self, members: Mapping[ConnectionId, Subscriber], audience: Members
    ) -> Sequence[Subscriber]:
        excluded: list[Subscriber] = []
        if audience.except_user is not None:
            excluded += self._subscribers.get(audience.except_user, _NO_SUBSCRIBERS).values()
        if audience.except_connection is not None and audience.except_connection in members:
            excluded.append(members[audience.except_connection])
        return excluded


_NO_SUBSCRIBERS: Mapping[ConnectionId, Subscriber] = {}
