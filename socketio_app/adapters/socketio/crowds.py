"""Tells rooms of thousands, without stopping the loop, and each connection in one order.

A crowd is told part by part. What happens in its room meanwhile waits, and then goes through the
crowd all together, as one write for each connection: so the cost of a delivery falls where more is
said than can be told at once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import attrs

from socketio_app.adapters.socketio.outlet import Outlet
from socketio_app.application.events import Event
from socketio_app.application.measures import Measures
from socketio_app.domain.identifiers import RoomId

PART = 500
"""How many connections are told before the loop has its turn: some milliseconds' work."""

MOST_TOGETHER = 128
"""How many events go through a crowd together."""


@attrs.frozen(eq=False)
class Telling:
    """An event and whom it is for."""

    event: Event
    frame: bytes
    outlets: Sequence[Outlet]
    left_out: Sequence[Outlet] = ()
    """Those of the outlets that are not to be told."""

    @property
    def told(self) -> int:
        """How many are."""
        return len(self.outlets) - len(self.left_out)


class Crowds:
    """The rooms in which something is still being told."""

    def __init__(self, part: int, measures: Measures | None = None) -> None:
        self._part = part
        self._measures = measures
        self._rooms: dict[RoomId, _Crowd] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rooms)

    def are_told_in(self, room_id: RoomId) -> bool:
        """Whether what happens in a room has to wait for its turn."""
        return room_id in self._rooms

    def tell(self, room_id: RoomId, telling: Telling) -> None:
        """Tell an event after those before it in the room."""
        if not self._rooms:
            asyncio.get_running_loop().call_soon(self._tell_a_part)
        if room_id not in self._rooms:
            self._rooms[room_id] = _Crowd(self._part, self._measures)
        self._rooms[room_id].waiting.append(telling)

    def _tell_a_part(self) -> None:
        """Tell a part of one room's crowd; the rooms take turns."""
        room_id = next(iter(self._rooms))
        crowd = self._rooms.pop(room_id)
        try:
            crowd.tell_a_part()
        finally:
            if crowd.waiting or crowd.passage is not None:
                self._rooms[room_id] = crowd
            if self._rooms:
                asyncio.get_running_loop().call_soon(self._tell_a_part)


@attrs.define
class _Crowd:
    """What is still to be told in one room."""

    part: int
    measures: Measures | None
    waiting: deque[Telling] = attrs.field(factory=deque, init=False)
    passage: "_Passage | None" = attrs.field(default=None, init=False)

    def tell_a_part(self) -> None:
        if self.passage is None:
            self.passage = _Passage.of(self.waiting, self.part)
        if self.passage.tell(self.part):
            if self.measures is not None:
                for telling, _ in self.passage.tellings:
                    self.measures.told(telling.event, telling.told)
            self.passage = None


@attrs.define
class _Passage:
    """Some events on their way through a crowd."""

    crowd: Sequence[Outlet]
    tellings: Sequence[tuple[Telling, bool]]
    """In their order; and whether each is for the crowd, or for a few."""
    particular: set[Outlet]
    """Who is to have something else than the crowd."""
    _common: Sequence[Telling] = attrs.field(init=False)
    _frames: bytes = attrs.field(init=False)
    _met: set[Outlet] = attrs.field(factory=set, init=False)
    """The particular ones who are in the crowd."""
    _told: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._common = [telling for telling, for_crowd in self.tellings if for_crowd]
        self._frames = b"".join(telling.frame for telling in self._common)

    @classmethod
    def of(cls, waiting: "deque[Telling]", few: int) -> "_Passage":
        """Take what can go through together: what is for the same crowd, or for a few."""
        crowd = waiting[0].outlets
        tellings: list[tuple[Telling, bool]] = []
        particular: set[Outlet] = set()
        while waiting and len(tellings) < MOST_TOGETHER:
            for_crowd = waiting[0].outlets == crowd
            if not for_crowd and len(waiting[0].outlets) > few:
                break
            telling = waiting.popleft()
            tellings.append((telling, for_crowd))
            particular.update(telling.left_out if for_crowd else telling.outlets)
        return cls(crowd, tellings, particular)

    def tell(self, part: int) -> bool:
        """Tell the next part of the crowd, and after the last the particular ones.

        Returns:
            Whether everybody has been told.
        """
        for outlet in self.crowd[self._told : self._told + part]:
            if outlet in self.particular:
                self._met.add(outlet)
            elif outlet.direct is not None:
                outlet.direct(self._frames)
            else:
                for telling in self._common:
                    outlet.tell(telling.event, telling.frame)
        self._told += part
        if self._told < len(self.crowd):
            return False
        for outlet in self.particular:
            for telling, for_crowd in self.tellings:
                among = outlet in self._met if for_crowd else outlet in telling.outlets
                if among and outlet not in telling.left_out:
                    outlet.tell(telling.event, telling.frame)
        return True
