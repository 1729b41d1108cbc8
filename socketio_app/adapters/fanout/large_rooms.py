"""Tells rooms of thousands, without stopping the loop, and each connection in one order.

A crowd is told part by part. What happens in its room meanwhile waits, and then goes through the
crowd all together, as one write for each connection: so the cost of a delivery falls where more is
said than can be told at once.
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

PART = 500
"""How many connections are told before the loop has its turn: some milliseconds' work."""

MAX_BATCH_EVENTS = 128
"""How many events go through a crowd together."""

MAX_WAITING = 256
"""How many may wait in a room before who says more has to wait, too."""


@attrs.frozen(eq=False)
class Telling:
    """An event and whom it is for."""

    event: Event
    frame: Frame
    subscribers: Sequence[Subscriber]
    left_out: Sequence[Subscriber] = ()
    """Those of the outlets that are not to be told."""

    @property
    def told(self) -> int:
        """How many are."""
        return len(self.subscribers) - len(self.left_out)


class Crowds:
    """The rooms in which something is still being told."""

    def __init__(self, part: int, metrics: Metrics | None = None) -> None:
        self._part = part
        self.rooms: dict[RoomId, Crowd] = {}
        """Where what happens has to wait for its turn."""
        self._metrics = metrics

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """Wait until no more than `MAX_WAITING` tellings wait in a room."""
        while (crowd := self.rooms.get(room_id)) and len(crowd.waiting) > MAX_WAITING:
            await crowd.until_passed()

    def tell(self, room_id: RoomId, telling: Telling) -> None:
        """Tell an event after those before it in the room."""
        if not self.rooms:
            asyncio.get_running_loop().call_soon(self._tell_a_part)
        if room_id not in self.rooms:
            self.rooms[room_id] = Crowd(self._part, self._metrics)
        self.rooms[room_id].waiting.append(telling)

    def _tell_a_part(self) -> None:
        """Tell a part of one room's crowd; the rooms take turns."""
        room_id = next(iter(self.rooms))
        crowd = self.rooms.pop(room_id)
        try:
            crowd.tell_a_part()
        finally:
            if crowd.waiting or crowd.passage is not None:
                self.rooms[room_id] = crowd
            if self.rooms:
                asyncio.get_running_loop().call_soon(self._tell_a_part)


@attrs.define
class Crowd:
    """What is still to be told in one room."""

    part: int
    metrics: Metrics | None
    waiting: deque[Telling] = attrs.field(factory=deque, init=False)
    passage: "_Passage | None" = attrs.field(default=None, init=False)
    _passed: asyncio.Event | None = attrs.field(default=None, init=False)

    async def until_passed(self) -> None:
        """Wait until some of it has been told."""
        if self._passed is None:
            self._passed = asyncio.Event()
        await self._passed.wait()

    def tell_a_part(self) -> None:
        """Tell the next part of the crowd what goes through it."""
        if self.passage is None:
            self.passage = _Passage.of(self.waiting, self.part)
        if self.passage.tell(self.part):
            if self.metrics is not None:
                for telling, _ in self.passage.tellings:
                    self.metrics.told(telling.event, telling.told)
            self.passage = None
            if self._passed is not None:
                self._passed.set()
                self._passed = None


@attrs.define
class _Passage:
    """Some events on their way through a crowd."""

    crowd: Sequence[Subscriber]
    tellings: Sequence[tuple[Telling, bool]]
    """In their order; and whether each is for the crowd, or for a few."""
    particular: set[Subscriber]
    """Who is to have something else than the crowd."""
    _common: Sequence[Telling] = attrs.field(init=False)
    _joined: bytes = attrs.field(init=False)
    _met: set[Subscriber] = attrs.field(factory=set, init=False)
    """The particular ones who are in the crowd."""
    _told: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._common = [telling for telling, for_crowd in self.tellings if for_crowd]
        self._joined = b"".join(telling.frame for telling in self._common)

    @classmethod
    def of(cls, waiting: "deque[Telling]", few: int) -> "_Passage":
        """Take what can go through together: what is for the same crowd, or for a few."""
        crowd = waiting[0].subscribers
        tellings: list[tuple[Telling, bool]] = []
        particular: set[Subscriber] = set()
        while waiting and len(tellings) < MAX_BATCH_EVENTS:
            for_crowd = waiting[0].subscribers == crowd
            if not for_crowd and len(waiting[0].subscribers) > few:
                break
            telling = waiting.popleft()
            tellings.append((telling, for_crowd))
            particular.update(telling.left_out if for_crowd else telling.subscribers)
        return cls(crowd, tellings, particular)

    def tell(self, part: int) -> bool:
        """Tell the next part of the crowd, and after the last the particular ones.

        Returns:
            Whether everybody has been told.
        """
        for subscriber in self.crowd[self._told : self._told + part]:
            try:
                if subscriber in self.particular:
                    self._met.add(subscriber)
                elif subscriber.direct_joined is not None:
                    subscriber.direct_joined(self._joined)
                else:
                    for telling in self._common:
                        subscriber.tell(telling.event, telling.frame)
            except Exception as error:  # noqa: BLE001  (logged there)
                subscriber.fail(error)
        self._told += part
        if self._told < len(self.crowd):
            return False
        for subscriber in self.particular:
            try:
                self._tell_particular(subscriber)
            except Exception as error:  # noqa: BLE001  (logged there)
                subscriber.fail(error)
        return True

    def _tell_particular(self, subscriber: Subscriber) -> None:
        for telling, for_crowd in self.tellings:
            among = subscriber in self._met if for_crowd else subscriber in telling.subscribers
            if among and subscriber not in telling.left_out:
                subscriber.tell(telling.event, telling.frame)
