"""A broadcast that remembers what each connection was told, in order."""

from collections import defaultdict

import attrs

from socketio_app.application.events import (
    Audience,
    DismissReason,
    Event,
    Members,
    MessageSent,
    OneConnection,
    Users,
)
from socketio_app.application.handover import Handover, Opening
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from socketio_app.domain.messaging import Message


@attrs.define(eq=False)
class Listener:
    """A connection, as far as it listens.

    While it opens, what it is told is held back, as `Sessions` asks of a transport.
    """

    user_id: UserId
    connection_id: ConnectionId
    told: list[Event] = attrs.field(factory=list, init=False)
    dismissed: DismissReason | None = attrs.field(default=None, init=False)
    unconfirmed: list[Message] = attrs.field(factory=list, init=False)
    """Messages to the user that were written and that the client has not confirmed."""
    _handover: Handover = attrs.field(factory=Handover, init=False)

    def hear(self, event: Event) -> None:
        if self._handover.admits(event):
            self._write(event)

    def release(self, opening: Opening) -> None:
        """Hear what comes first, and what was held back."""
        for event in self._handover.release(opening):
            self._write(event)

    def _write(self, event: Event) -> None:
        self.told.append(event)
        if isinstance(event, MessageSent) and event.message.to_user_id == self.user_id:
            self.unconfirmed.append(event.message)


class RecordingBroadcast:
    """Implements the `Broadcast` port, and remembers no more of a user than it promises.

    With a user's last connection it forgets which rooms they are in.
    """

    def __init__(self) -> None:
        self.tellings: list[tuple[Event, Audience]] = []
        """All that was ever told, whoever heard it."""
        self._listeners: list[Listener] = []
        self._members: dict[RoomId, set[UserId]] = defaultdict(set)

    def listen(self, user_id: UserId, connection_id: ConnectionId) -> Listener:
        listener = Listener(user_id, connection_id)
        self._listeners.append(listener)
        return listener

    def end(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._is_listening(listener.user_id):
            for members in self._members.values():
                members.discard(listener.user_id)

    def dismiss(self, audience: Users | OneConnection, reason: DismissReason) -> None:
        for listener in [each for each in self._listeners if self._is_in(audience, each)]:
            listener.dismissed = reason
            self.end(listener)

    async def keeping_up(self, room_id: RoomId) -> None:
        """At once: all is told at once."""

    def tell(self, event: Event, audience: Audience) -> None:
        self.tellings.append((event, audience))
        for listener in self._listeners:
            if self._is_in(audience, listener):
                listener.hear(event)

    def enter(self, room_id: RoomId, user_id: UserId) -> None:
        if self._is_listening(user_id):
            self._members[room_id].add(user_id)

    def leave(self, room_id: RoomId, user_id: UserId) -> None:
        self._members[room_id].discard(user_id)

    def _is_listening(self, user_id: UserId) -> bool:
        return any(listener.user_id == user_id for listener in self._listeners)

    def _is_in(self, audience: Audience, listener: Listener) -> bool:
        if isinstance(audience, OneConnection):
            return listener.connection_id == audience.connection_id
        if listener.connection_id == audience.but_connection:
            return False
        match audience:
            case Users(user_ids):
                return listener.user_id in user_ids
            case Members(room_id, _, but_user):
                return listener.user_id in self._members[room_id] - {but_user}
