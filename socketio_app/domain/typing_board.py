"""Who is typing where, and until when. Nothing here reads a clock or tells anybody."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import UserId


@attrs.frozen
class TypingStarted:
    """A user began to type."""

    user_id: UserId
    conversation: Conversation
    expires_in: timedelta
    """After this long without a renewal the state ends by itself."""


@attrs.frozen
class TypingStopped:
    """A user is typing no longer, for whichever reason."""

    user_id: UserId
    conversation: Conversation


@attrs.define
class TypingBoard:
    """The typing state of every conversation.

    A user is either typing in a conversation or not, whatever connections the keystrokes come from.
    Methods return what changed, so that the caller tells each change once. A renewal is no change,
    which is what throttles a client that reports every keystroke. Time must not run backwards.
    """

    ttl: timedelta
    """How long a state lasts without a renewal."""
    # Each start and each renewal goes to the end, and all last equally long: the first is the next
    # to run out.
    _until: dict[tuple[UserId, Conversation], datetime] = attrs.field(factory=dict, init=False)
    _typing_in: dict[UserId, dict[Conversation, None]] = attrs.field(factory=dict, init=False)

    def start(
        self, user_id: UserId, conversation: Conversation, now: datetime
    ) -> Sequence[TypingStarted | TypingStopped]:
        """Begin, or renew for another `ttl`; only a beginning is a change.

        A state that had run out before anybody noticed ends first: its end is told, too.
        """
        until = self._until.pop((user_id, conversation), None)
        self._until[user_id, conversation] = now + self.ttl
        if until is not None and now < until:
            return ()
        self._typing_in.setdefault(user_id, {})[conversation] = None
        started = TypingStarted(user_id, conversation, self.ttl)
        if until is None:
            return (started,)
        return (TypingStopped(user_id, conversation), started)

    def stop(self, user_id: UserId, conversation: Conversation) -> Sequence[TypingStopped]:
        """End the user's state in one conversation, if there is one."""
        if not self._until or self._until.pop((user_id, conversation), None) is None:
            return ()
        typing_in = self._typing_in[user_id]
        del typing_in[conversation]
        if not typing_in:
            del self._typing_in[user_id]
        return (TypingStopped(user_id, conversation),)

    def stop_all(self, user_id: UserId) -> Sequence[TypingStopped]:
        """End all of the user's states."""
        conversations = self._typing_in.pop(user_id, {})
        for conversation in conversations:
            del self._until[user_id, conversation]
        return [TypingStopped(user_id, conversation) for conversation in conversations]

    def expire(self, now: datetime) -> Sequence[TypingStopped]:
        """End every state whose time is up."""
        due = list(takewhile(lambda key: self._until[key] <= now, self._until))
        return [
            change for user_id, conversation in due for change in self.stop(user_id, conversation)
        ]

    def next_expiry(self) -> datetime | None:
        """When the next state runs out; `None` while nobody is typing."""
        return next(iter(self._until.values()), None)
