"""Which connection hears what: the broadcast port over live Socket.IO connections.

The tables here are keyed by verified users and by rooms whose membership the application has
granted. No channel's name is ever made of what a client sent.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from socketio_app.adapters.socketio.packets import event_frame
from socketio_app.adapters.socketio.websocket import Write
from socketio_app.adapters.socketio.wire import outgoing
from socketio_app.application.events import Audience, Event, Users
from socketio_app.application.handover import Handover, Opening
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId


@attrs.define(eq=False)
class Outlet:
    """Where a connection's frames go out.

    While it opens, what it is told is held back.
    """

    connection_id: ConnectionId
    user_id: UserId
    write: Write
    """Sends a frame after those before it. Never waits."""
    direct: Write | None = attrs.field(default=None, init=False)
    """Writes a frame at once, while nothing is in the way of it."""
    _transport: Write | None = attrs.field(default=None, init=False)
    _handover: Handover | None = attrs.field(factory=Handover, init=False)

    def set_direct(self, write: Write | None) -> None:
        """Say what writes a frame now, if anything does."""
        self._transport = write
        self.direct = write if self._handover is None else None

    def tell(self, event: Event, frame: bytes) -> None:
        """Write an event's frame, or hold the event back."""
        if self._handover is None or self._may_go(event, self._handover):
            self.write(frame)

    def release(self, opening: Opening) -> Sequence[Event]:
        """Write what the connection is to have first; hold nothing back any more.

        Returns:
            The events written.
        """
        assert self._handover is not None  # noqa: S101  (a connection opens once)
        events = self._handover.release(opening)
        for event in events:
            self.write(frame_of(event))
        self._end_handover(self._handover)
        return events

    def _may_go(self, event: Event, handover: Handover) -> bool:
        admitted = handover.admits(event)
        self._end_handover(handover)
        return admitted

    def _end_handover(self, handover: Handover) -> None:
        if handover.is_over:
            self._handover = None
            self.direct = self._transport


SLICE = 2000
"""To so many connections an event is told before the loop has its turn: some milliseconds' work.
Smaller slices would cost more: what is written to a connection in one turn leaves together."""


@attrs.define
class Telling:
    """An event that not all of its audience has been told yet."""

    event: Event
    frame: bytes
    outlets: Sequence[Outlet]
    but_connection: ConnectionId | None
    told: int = 0


class Hub:
    """Tells live connections what happened. Implements the `Broadcast` port.

    A large audience is told in slices; what is told meanwhile waits behind, so that every
    connection hears all of it in one order.
    """

    def __init__(self) -> None:
        self._outlets: dict[UserId, dict[ConnectionId, Outlet]] = {}
        self._audiences: dict[RoomId, dict[ConnectionId, Outlet]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        self._unfinished: deque[Telling] = deque()

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
        outlets: Collection[Outlet]
        if isinstance(audience, Users):
            outlets = [
                outlet
                for user_id in audience.user_ids
                if user_id in self._outlets
                for outlet in self._outlets[user_id].values()
            ]
        else:
            outlets = self._audiences.get(audience.room_id, _NOBODY).values()
            if audience.but_user is not None:
                outlets = [each for each in outlets if each.user_id != audience.but_user]
        if not outlets:
            return
        frame = frame_of(event)
        if not self._unfinished and len(outlets) <= SLICE:
            _tell(event, frame, outlets, audience.but_connection)
        else:
            self._tell_in_slices(Telling(event, frame, list(outlets), audience.but_connection))

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

    def _tell_in_slices(self, telling: Telling) -> None:
        if not self._unfinished:
            asyncio.get_running_loop().call_soon(self._tell_next_slice)
        self._unfinished.append(telling)

    def _tell_next_slice(self) -> None:
        left = SLICE
        while self._unfinished and left > 0:
            telling = self._unfinished[0]
            outlets = telling.outlets[telling.told : telling.told + left]
            _tell(telling.event, telling.frame, outlets, telling.but_connection)
            telling.told += len(outlets)
            left -= len(outlets)
            if telling.told == len(telling.outlets):
                self._unfinished.popleft()
        if self._unfinished:
            asyncio.get_running_loop().call_soon(self._tell_next_slice)


_NOBODY: Mapping[ConnectionId, Outlet] = {}


def _tell(
    event: Event,
    frame: bytes,
    outlets: Iterable[Outlet],
    but_connection: ConnectionId | None,
) -> None:
    for outlet in outlets:
        if outlet.connection_id != but_connection:
            if outlet.direct is not None:
                outlet.direct(frame)
            else:
                outlet.tell(event, frame)


def frame_of(event: Event) -> bytes:
    """The frame that carries an event."""
    return event_frame(*outgoing.event_payload(event))
