"""Delivery to rooms with thousands of connections, in slices that do not block the event loop.

Events that are published while a room's earlier events are being delivered are queued, and then
delivered as one batch, with one write per connection. Under load, the cost per event therefore
falls.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import attrs

from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.application.events import Event
from socketio_app.application.metrics import Metrics
from socketio_app.domain.identifiers import RoomId

SLICE_CONNECTIONS = 500
"""Maximum number of connections written to in one loop iteration: a few milliseconds."""

MAX_BATCH_EVENTS = 128
"""Maximum number of events in a batch."""

MAX_WAITING = 256
"""High-water mark of events queued in a room. Above it, senders to the room wait."""


@attrs.frozen(eq=False)
class Delivery:
    """An event and its recipients."""

    event: Event
    frame: Frame
    subscribers: Sequence[Subscriber]
    excluded: Sequence[Subscriber] = ()
    """Subscribers that do not receive the event."""

    @property
    def recipient_count(self) -> int:
        """Number of connections that receive the event."""
        return len(self.subscribers) - len(self.excluded)


class LargeRooms:
    """The rooms with deliveries in progress."""

    def __init__(self, slice_connections: int, metrics: Metrics | None = None) -> None:
        self._slice_connections = slice_connections
        self.rooms: dict[RoomId, LargeRoom] = {}
        """Rooms in which new events are queued behind earlier ones."""
        self._metrics = metrics

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """Wait until at most `MAX_WAITING` events are queued in a room."""
        while (room := self.rooms.get(room_id)) and len(room.waiting) > MAX_WAITING:
            await room.wait_for_batch()

    def deliver(self, room_id: RoomId, delivery: Delivery) -> None:
        """Deliver an event after earlier events of the room."""
        if not self.rooms:
            asyncio.get_running_loop().call_soon(self._deliver_slice)
        if room_id not in self.rooms:
            self.rooms[room_id] = LargeRoom(self._slice_connections, self._metrics)
        self.rooms[room_id].waiting.append(delivery)

    def _deliver_slice(self) -> None:
        """Deliver the next slice of one room; the rooms take turns."""
        room_id = next(iter(self.rooms))
        room = self.rooms.pop(room_id)
        try:
            room.deliver_slice()
        finally:
            if room.waiting or room.batch is not None:
                self.rooms[room_id] = room
            if self.rooms:
                asyncio.get_running_loop().call_soon(self._deliver_slice)


@attrs.define
class LargeRoom:
    """The unfinished deliveries of one room."""

    slice_connections: int
    metrics: Metrics | None
    waiting: deque[Delivery] = attrs.field(factory=deque, init=False)
    batch: "_Batch | None" = attrs.field(default=None, init=False)
    _batch_delivered: asyncio.Event | None = attrs.field(default=None, init=False)

    async def wait_for_batch(self) -> None:
        """Wait until the current batch is delivered."""
        if self._batch_delivered is None:
            self._batch_delivered = asyncio.Event()
        await self._batch_delivered.wait()

    def deliver_slice(self) -> None:
        """Deliver the current batch to the next slice of connections."""
        if self.batch is None:
            self.batch = _Batch.of(self.waiting, self.slice_connections)
        if self.batch.deliver(self.slice_connections):
            if self.metrics is not None:
                for delivery, _ in self.batch.deliveries:
                    self.metrics.count_broadcast(delivery.event, delivery.recipient_count)
            self.batch = None
            if self._batch_delivered is not None:
                self._batch_delivered.set()
                self._batch_delivered = None


@attrs.define
class _Batch:
    """Events that are delivered together to the connections of a room."""

    subscribers: Sequence[Subscriber]
    deliveries: Sequence[tuple[Delivery, bool]]
    """In order, each with whether it is for the whole room or only for a few subscribers."""
    exceptions: set[Subscriber]
    """Subscribers that do not receive exactly the room's events."""
    _common: Sequence[Delivery] = attrs.field(init=False)
    _joined: bytes = attrs.field(init=False)
    _exceptions_in_room: set[Subscriber] = attrs.field(factory=set, init=False)
    """Exceptions found among the room's connections so far."""
    _next: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._common = [delivery for delivery, for_room in self.deliveries if for_room]
        self._joined = b"".join(delivery.frame for delivery in self._common)

    @classmethod
    def of(cls, waiting: "deque[Delivery]", max_few: int) -> "_Batch":
        """Take the events that can be delivered together: to the same members, or to a few."""
        subscribers = waiting[0].subscribers
        deliveries: list[tuple[Delivery, bool]] = []
        exceptions: set[Subscriber] = set()
        while waiting and len(deliveries) < MAX_BATCH_EVENTS:
            for_room = waiting[0].subscribers == subscribers
            if not for_room and len(waiting[0].subscribers) > max_few:
                break
            delivery = waiting.popleft()
            deliveries.append((delivery, for_room))
            exceptions.update(delivery.excluded if for_room else delivery.subscribers)
        return cls(subscribers, deliveries, exceptions)

    def deliver(self, count: int) -> bool:
        """Write to the next connections and, after the last one, to the exceptions.

        Returns:
            Whether the batch has been delivered to all of them.
        """
        for subscriber in self.subscribers[self._next : self._next + count]:
            try:
                if subscriber in self.exceptions:
                    self._exceptions_in_room.add(subscriber)
                elif subscriber.write_joined_directly is not None:
                    subscriber.write_joined_directly(self._joined)
                else:
                    for delivery in self._common:
                        subscriber.deliver(delivery.event, delivery.frame)
            except Exception as error:  # noqa: BLE001  (`fail` logs it)
                subscriber.fail(error)
        self._next += count
        if self._next < len(self.subscribers):
            return False
        for subscriber in self.exceptions:
            try:
                self._deliver_to_exception(subscriber)
            except Exception as error:  # noqa: BLE001  (`fail` logs it)
                subscriber.fail(error)
        return True

    def _deliver_to_exception(self, subscriber: Subscriber) -> None:
        for delivery, for_room in self.deliveries:
            is_recipient = (
                subscriber in self._exceptions_in_room
                if for_room
                else subscriber in delivery.subscribers
            )
            if is_recipient and subscriber not in delivery.excluded:
                subscriber.deliver(delivery.event, delivery.frame)
