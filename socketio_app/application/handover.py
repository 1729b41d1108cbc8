"""What a connection is handed while it opens, in an order that holds whatever happens meanwhile.

Between reading from the store and going live, a message may come both ways, or be in the store
before it is told. Each is handed over once, and a conversation's messages in rising `seq`.
"""

from collections.abc import Iterable, Sequence

import attrs

from socketio_app.application.events import Connected, Event, MessageSent
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.messaging import Message


@attrs.frozen
class Opening:
    """A connection that is about to open, and what to hand to it first, in this order."""

    connected: Connected
    undelivered: Sequence[Message]


@attrs.define
class Handover:
    """Says of each event for a connection whether it may go out now."""

    _held: list[Event] | None = attrs.field(factory=list, init=False)
    _had: dict[Conversation, int] = attrs.field(factory=dict, init=False)

    def admits(self, event: Event) -> bool:
        """Whether the event may go out; it is held back, or was handed over already, if not."""
        if self._held is not None:
            self._held.append(event)
            return False
        if not isinstance(event, MessageSent):
            return True
        had_seq = self._had.get(event.message.conversation, 0)
        if event.message.seq <= had_seq:
            return False
        self._had.pop(event.message.conversation, None)
        return True

    def release(self, opening: Opening) -> Sequence[Event]:
        """What goes out now: the opening, then what was held back. Nothing is held any more."""
        held, self._held = self._held or [], None
        pushed = _by_conversation([*opening.undelivered, *_messages(held)])
        pushed = {
            conversation: pushed[conversation]
            for conversation in dict.fromkeys(each.conversation for each in opening.undelivered)
        }
        self._had = {conversation: max(messages) for conversation, messages in pushed.items()}
        in_order = [
            MessageSent(messages[seq]) for messages in pushed.values() for seq in sorted(messages)
        ]
        others = [
            event
            for event in held
            if not (isinstance(event, MessageSent) and event.message.conversation in pushed)
        ]
        return [opening.connected, *in_order, *others]

    @property
    def is_over(self) -> bool:
        """Whether every later event is admitted."""
        return self._held is None and not self._had


def _messages(events: Iterable[Event]) -> Iterable[Message]:
    return (event.message for event in events if isinstance(event, MessageSent))


def _by_conversation(messages: Iterable[Message]) -> dict[Conversation, dict[int, Message]]:
    found: dict[Conversation, dict[int, Message]] = {}
    for message in messages:
        found.setdefault(message.conversation, {})[message.seq] = message
    return found
