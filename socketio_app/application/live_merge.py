"""Merging stored messages with live events, in order and without duplicates.

This is used when a connection opens, a user joins a room, or a client catches up. While the store
is being read, live events are held back. Then the stored messages are sent, followed by the events
held back: each conversation in ascending `seq`, each message once. A message can be both read from
the store and broadcast, in either order; therefore the last `seq` sent from the store is remembered
until a live message of the conversation has passed it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from socketio_app.application.backlog import Backlog, Batch
from socketio_app.application.events import Event, MessageSent, UserLeft
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message

MAX_HELD = 4096
"""Maximum number of events held back for one connection. Beyond it, the connection is closed;
its client reconnects and catches up."""

MAX_HELD_BYTES = 4_194_304
"""Maximum size of the contents of messages held back, at four bytes per character."""


@attrs.define
class LiveMerge:
    """Decides which events are sent to a connection now, and holds back the rest."""

    _holds_all: bool = attrs.field(default=False, alias="holds_all")
    _held_rooms: set[Conversation] = attrs.field(factory=set, init=False)
    _dropped_rooms: dict[Room, UserId] = attrs.field(factory=dict, init=False)
    _held: list[Event] = attrs.field(factory=list, init=False)
    _held_bytes: int = attrs.field(default=0, init=False)
    _last_sent: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """Last `seq` of a conversation that was sent or skipped, until a live message has passed it."""
    _in_results: dict[Conversation, list[range]] = attrs.field(factory=dict, init=False)
    """Ranges of `seq` sent in results of commands, by conversation that is held back."""

    @property
    def is_over(self) -> bool:
        """Whether all later events are sent immediately."""
        return not (self._holds_all or self._held_rooms or self._dropped_rooms or self._last_sent)

    @property
    def is_full(self) -> bool:
        """Whether too much is held back."""
        return len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES

    def admit(self, event: Event) -> bool:
        """Return whether to send an event now. Otherwise it is held back or dropped."""
        if self._is_held(event):
            self._held.append(event)
            self._held_bytes += _size(event)
            return False
        if self._dropped_rooms and self._is_dropped(event):
            return False
        return not isinstance(event, MessageSent) or self._is_new(event.message)

    def hold_all(self) -> None:
        """Start holding back all events."""
        self._holds_all = True

    def hold_room(self, room: Conversation) -> None:
        """Start holding back the events of a conversation."""
        self._held_rooms.add(room)
        if isinstance(room, Room):
            self._dropped_rooms.pop(room, None)

    def open(self, backlog: Backlog) -> Sequence[Event]:
        """Start sending a backlog; hold back only the conversations that it has not finished.

        Returns:
            The events to send now.
        """
        if backlog.is_empty and not self._held:
            self._holds_all = False
            return ()
        for conversation in backlog.conversations:
            self.hold_room(conversation)
        return [*self.push(backlog.take()), *self.release_all()]

    def push(self, batch: Batch) -> Sequence[Event]:
        """Return the new messages of a backlog's next batch, and the events it releases."""
        events: list[Event] = [
            MessageSent(message)
            for message in batch.messages
            if not self._was_sent(message) and not self._was_in_result(message)
        ]
        for conversation, last_seq in batch.finished.items():
            events += self.release_room(conversation, last_seq)
        return events

    def release_all(self, given: Mapping[Conversation, range] | None = None) -> Sequence[Event]:
        """Stop holding back all events.

        Args:
            given: ranges of `seq` that were in the result of a command.

        Returns:
            The released events, to send now.
        """
        self._holds_all = False
        for conversation, seqs in (given or {}).items():
            if conversation in self._held_rooms:
                self._in_results.setdefault(conversation, []).append(seqs)
            else:
                self._mark_sent(conversation, seqs[-1])
        return self._without_sent(self._release(lambda event: not self._is_held(event)))

    def release_room(self, room: Conversation, given_seq: int) -> Sequence[Event]:
        """Stop holding back a conversation; skip its messages up to `given_seq`.

        Returns:
            The released events, to send now.
        """
        self._held_rooms.discard(room)
        if isinstance(room, Room):
            self._dropped_rooms.pop(room, None)
        last_seqs = (seqs[-1] for seqs in self._in_results.pop(room, ()))
        self._mark_sent(room, max([given_seq, *last_seqs]))
        return self._without_sent(self._release(lambda event: not self._is_held(event)))

    def skip(self, room: Room, last_seq: int) -> None:
        """Drop a room's messages up to `last_seq`: the user joined after them."""
        self._mark_sent(room, last_seq)

    def forget(self) -> None:
        """Forget what was sent and what is dropped, once no earlier broadcast can still arrive.

        Conversations of a backlog that is still being pushed are remembered.
        """
        unfinished = self._held_rooms & self._last_sent.keys()
        self._last_sent = {
            conversation: self._last_sent[conversation] for conversation in unfinished
        }
        self._dropped_rooms.clear()

    def drop_room(self, room: Room, user_id: UserId, *, is_lagging: bool) -> None:
        """Stop holding back a room, and drop its events.

        Args:
            room: a room that was held back.
            user_id: the connection's user.
            is_lagging: whether earlier broadcasts may still arrive. They are dropped as well, up
                to the event that the user has left.
        """
        self._held_rooms.discard(room)
        self._in_results.pop(room, None)
        self._release(lambda event: event.conversation == room)
        if is_lagging:
            self._dropped_rooms[room] = user_id

    def _is_held(self, event: Event) -> bool:
        return self._holds_all or (
            bool(self._held_rooms) and event.conversation in self._held_rooms
        )

    def _is_dropped(self, event: Event) -> bool:
        room = event.conversation
        if not isinstance(room, Room) or room not in self._dropped_rooms:
            return False
        if isinstance(event, UserLeft) and event.user_id == self._dropped_rooms[room]:
            del self._dropped_rooms[room]
            return False
        return True

    def _was_sent(self, message: Message) -> bool:
        return message.seq <= self._last_sent.get(message.conversation, 0)

    def _was_in_result(self, message: Message) -> bool:
        ranges = self._in_results.get(message.conversation, ())
        return any(message.seq in seqs for seqs in ranges)

    def _is_new(self, message: Message) -> bool:
        if self._was_sent(message):
            return False
        self._last_sent.pop(message.conversation, None)
        return True

    def _without_sent(self, events: Iterable[Event]) -> list[Event]:
        return [
            event
            for event in events
            if not isinstance(event, MessageSent) or self._is_new(event.message)
        ]

    def _mark_sent(self, conversation: Conversation, seq: int) -> None:
        if seq:
            self._last_sent[conversation] = max(seq, self._last_sent.get(conversation, 0))

    def _release(self, wanted: Callable[[Event], bool]) -> Sequence[Event]:
        """Remove and return the events held back that match, in order."""
        taken = [event for event in self._held if wanted(event)]
        if taken:
            self._held = [event for event in self._held if not wanted(event)]
            self._held_bytes = sum(map(_size, self._held))
        return taken


def _size(event: Event) -> int:
    """Return an estimate of an event's size in bytes; only messages count."""
    return 4 * len(event.message.content) if isinstance(event, MessageSent) else 0
