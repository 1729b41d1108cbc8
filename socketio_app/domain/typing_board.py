"""Typing states and their expiry. Nothing here reads a clock or publishes events."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import UserId


@attrs.frozen
class TypingStarted:
    """A user has started typing."""

    user_id: UserId
    conversation: Conversation
    expires_in: timedelta
    """Time after which the state expires unless it is renewed."""


@attrs.frozen
class TypingStopped:
    """A user has stopped typing, for whatever reason."""

    user_id: UserId
    conversation: Conversation


@attrs.define
class TypingBoard:
    """The typing state of every conversation.

    A user is either typing in a conversation or not, regardless of the connection. Methods return
    the changes, so that the caller publishes each one once. A renewal is not a change, which
    throttles clients that report every keystroke.

    Every method that changes a state gets the time, so that a change of these rules stays within
    this module. Times passed in must not decrease.
    """

    ttl: timedelta
    """Lifetime of a state that is not renewed."""
    # Starts and renewals are appended, and all states have the same lifetime: the first entry is
    # the next to expire.
    _until: dict[tuple[UserId, Conversation], datetime] = attrs.field(factory=dict, init=False)
    _typing_in: dict[UserId, dict[Conversation, None]] = attrs.field(factory=dict, init=False)

    def start(
        self, user_id: UserId, conversation: Conversation, now: datetime
    ) -> Sequence[TypingStarted | TypingStopped]:
        """Start typing, or renew the state for another `ttl`; a renewal is not a change.

        If an earlier state has expired but was not removed yet, its end is returned first.
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

    def has_state(self, user_id: UserId, conversation: Conversation) -> bool:
        """Return whether the user has a state in a conversation, even if it has expired."""
        return bool(self._until) and (user_id, conversation) in self._until

    def stop(
        self, user_id: UserId, conversation: Conversation, now: datetime
    ) -> Sequence[TypingStopped]:
        """End the user's state in a conversation, if any."""
        if self._until.pop((user_id, conversation), None) is None:
            return ()
        typing_in = self._typing_in[user_id]
        del typing_in[conversation]
        if not typing_in:
            del self._typing_in[user_id]
        return (TypingStopped(user_id, conversation),)

    def stop_all(self, user_id: UserId, now: datetime) -> Sequence[TypingStopped]:
        """End all of the user's states."""
        conversations = self._typing_in.pop(user_id, {})
        for conversation in conversations:
            del self._until[user_id, conversation]
        return [TypingStopped(user_id, conversation) for conversation in conversations]

    def expire(self, now: datetime) -> Sequence[TypingStopped]:
        """End every state that has expired."""
        due = list(takewhile(lambda key: self._until[key] <= now, self._until))
        return [
            change
            for user_id, conversation in due
            for change in self.stop(user_id, conversation, now)
        ]

    def next_expiry(self) -> datetime | None:
        """Return when the next state expires, or `None` if no user is typing."""
        return next(iter(self._until.values()), None)
