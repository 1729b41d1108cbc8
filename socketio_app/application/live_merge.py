"""Reading from the store, then going live: the one rule for it.

It serves a connection that opens, a user who joins a room, and a client that catches up. Before the
store is read, what is broadcast is held back. Then what was read goes out, and what was held back
after it: of each conversation in rising `seq`, each message once. A message may come both ways, or
be in the store before it is broadcast; what was given is remembered until the conversation has gone
beyond it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from socketio_app.application.backlog import Backlog, Batch
from socketio_app.application.events import Event, MessageSent, UserLeft, conversation_of_event
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message

MAX_HELD = 4096
"""Maximum number of events held back for one connection; beyond, the connection is closed, and its
client connects again and catches up."""

MAX_HELD_BYTES = 4_194_304
"""Maximum size of the held messages' contents, at four bytes for each character."""


@attrs.define
class LiveMerge:
    """Says of each event for one connection whether it may go out now; holds back the others."""

    _holds_all: bool = attrs.field(default=False, alias="holds_all")
    _held_rooms: set[Conversation] = attrs.field(factory=set, init=False)
    _dropped_rooms: dict[Room, UserId] = attrs.field(factory=dict, init=False)
    _held: list[Event] = attrs.field(factory=list, init=False)
    _held_bytes: int = attrs.field(default=0, init=False)
    _given: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    """The place up to which a conversation was given; only where it has not gone beyond since."""
    _answered: dict[Conversation, list[range]] = attrs.field(factory=dict, init=False)
    """The places that answers gave of conversations that are held back."""

    @property
    def is_over(self) -> bool:
        """Whether every later event is accepted."""
        return not (self._holds_all or self._held_rooms or self._dropped_rooms or self._given)

    @property
    def is_full(self) -> bool:
        """Whether more is held back than may be."""
        return len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES

    def accepts(self, event: Event) -> bool:
        """Whether the event may go out; it is held back, or was given before, if not."""
        if self._is_held(event):
            self._held.append(event)
            self._held_bytes += _size(event)
            return False
        if self._dropped_rooms and self._is_dropped(event):
            return False
        return not isinstance(event, MessageSent) or self._is_new(event.message)

    def hold_all(self) -> None:
        """Hold back everything from now on."""
        self._holds_all = True

    def hold_room(self, room: Conversation) -> None:
        """Hold back from now on what happens in a room, or between two people."""
        self._held_rooms.add(room)
        if isinstance(room, Room):
            self._dropped_rooms.pop(room, None)

    def open(self, backlog: Backlog) -> Sequence[Event]:
        """Hold back only the conversations of a backlog; return what goes out now."""
        for conversation in backlog.conversations:
            self.hold_room(conversation)
        return [*self.push(backlog.take()), *self.release_all()]

    def push(self, batch: Batch) -> Sequence[Event]:
        """Return what goes out of a backlog's next batch, and what was held back behind it."""
        events: list[Event] = [
            MessageSent(message)
            for message in batch.messages
            if not self._was_given(message) and not self._was_answered(message)
        ]
        for conversation, last_seq in batch.finished.items():
            events += self.release_room(conversation, last_seq)
        return events

    def release_all(self, given: Mapping[Conversation, range] | None = None) -> Sequence[Event]:
        """Hold everything back no more.

        Args:
            given: the places of messages that the connection got otherwise meanwhile.

        Returns:
            What goes out now of what was held back.
        """
        self._holds_all = False
        for conversation, places in (given or {}).items():
            if conversation in self._held_rooms:
                self._answered.setdefault(conversation, []).append(places)
            else:
                self._give(conversation, places[-1])
        return self._new_ones(self._take(lambda event: not self._is_held(event)))

    def release_room(self, room: Conversation, given_seq: int) -> Sequence[Event]:
        """Hold a room, or a pair, back no more; its messages up to `given_seq` are not to go out.

        Returns:
            What goes out now of what was held back.
        """
        self._held_rooms.discard(room)
        if isinstance(room, Room):
            self._dropped_rooms.pop(room, None)
        answered = (places[-1] for places in self._answered.pop(room, ()))
        self._give(room, max([given_seq, *answered]))
        return self._new_ones(self._take(lambda event: not self._is_held(event)))

    def forget(self) -> None:
        """Forget what was given and what is dropped: none of it can come any more.

        A backlog that is still being pushed can; what was given of it is remembered.
        """
        pushed = self._held_rooms & self._given.keys()
        self._given = {conversation: self._given[conversation] for conversation in pushed}
        self._dropped_rooms.clear()

    def drop_room(self, room: Room, user_id: UserId, *, is_lagging: bool) -> None:
        """Hold a room back no more, and drop what was held back of it.

        Args:
            room: one that was held back.
            user_id: the connection's user.
            is_lagging: whether some of what was broadcast may still come. It is dropped as well,
                up to the notice that the user has left.
        """
        self._held_rooms.discard(room)
        self._answered.pop(room, None)
        self._take(lambda event: conversation_of_event(event) == room)
        if is_lagging:
            self._dropped_rooms[room] = user_id

    def _is_held(self, event: Event) -> bool:
        return self._holds_all or (
            bool(self._held_rooms) and conversation_of_event(event) in self._held_rooms
        )

    def _is_dropped(self, event: Event) -> bool:
        room = conversation_of_event(event)
        if not isinstance(room, Room) or room not in self._dropped_rooms:
            return False
        if isinstance(event, UserLeft) and event.user_id == self._dropped_rooms[room]:
            del self._dropped_rooms[room]
            return False
        return True

    def _was_given(self, message: Message) -> bool:
        return message.seq <= self._given.get(message.conversation, 0)

    def _was_answered(self, message: Message) -> bool:
        answered = self._answered.get(message.conversation, ())
        return any(message.seq in places for places in answered)

    def _is_new(self, message: Message) -> bool:
        if self._was_given(message):
            return False
        self._given.pop(message.conversation, None)
        return True

    def _new_ones(self, events: Iterable[Event]) -> list[Event]:
        return [
            event
            for event in events
            if not isinstance(event, MessageSent) or self._is_new(event.message)
        ]

    def _give(self, conversation: Conversation, seq: int) -> None:
        if seq:
            self._given[conversation] = max(seq, self._given.get(conversation, 0))

    def _take(self, wanted: Callable[[Event], bool]) -> Sequence[Event]:
        """Take some of what is held back, in order."""
        taken = [event for event in self._held if wanted(event)]
        if taken:
            self._held = [event for event in self._held if not wanted(event)]
            self._held_bytes = sum(map(_size, self._held))
        return taken


def _size(event: Event) -> int:
    """The size of a message's content, in bytes, about; other events are small."""
    return 4 * len(event.message.content) if isinstance(event, MessageSent) else 0
