"""The order of everything that is stored, and how far a client has followed it.

Each message, and each join of a room, draws a number: its activity. Within a conversation the
numbers rise with `seq`. Between conversations they need not become visible in their order: where
several processes share a database, a transaction that drew a lower number may commit later. So a
client continues from a settled mark, and not from the highest number that it was given.
"""

import attrs

from socketio_app.domain.history import ConversationState, check_seq

MAX_EPOCH_CHARS = 32


@attrs.frozen
class Mark:
    """A place in the activity of a store."""

    settled: int | None
    """Everything that drew a number up to this one is visible, or was rolled back. `None` while a
    store that was just opened cannot say."""
    latest: int
    """No higher number had been drawn when the mark was taken."""


@attrs.frozen
class Change:
    """One of a user's conversations in which something is new."""

    state: ConversationState
    activity: int
    """Of the newest message, or of the user's join where that is later."""
    is_joined: bool
    """The user has joined the room since."""


@attrs.frozen
class Since:
    """How far a client has caught up. The client hands it back as it is, and cannot read it.

    It says nothing about who may read what: whatever a client makes of it selects among the user's
    own conversations.
    """

    epoch: str
    """The incarnation of the store that it belongs to."""
    activity: int = attrs.field(validator=check_seq)
    """The client has everything up to this number."""
    given: int = attrs.field(validator=check_seq)
    """The conversations up to this number were in the answers so far; greater than `activity` where
    one answer did not hold all of them."""
    next_activity: int = attrs.field(validator=check_seq)
    """What `activity` becomes after the last of those answers: settled before the first of them."""

    @classmethod
    def at(cls, epoch: str, activity: int) -> "Since":
        """Return the place of a client that has everything up to a settled mark."""
        return cls(epoch, activity, activity, activity)

    @property
    def is_first(self) -> bool:
        """Whether the next answer is the first from here."""
        return self.given == self.activity

    def after(self, given: int, next_activity: int) -> "Since":
        """Return the place after an answer that did not hold all conversations."""
        return attrs.evolve(self, given=given, next_activity=next_activity)
