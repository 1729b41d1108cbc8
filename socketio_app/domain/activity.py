"""Activity numbers: a store-wide order, and cursors into it for clients that catch up.

Each message, and each join of a room, is assigned an activity number. Within a conversation,
activity numbers rise with `seq`. Across conversations they do not necessarily become visible in
order: if several processes share a database, a transaction with a lower number may commit later.
Therefore a client continues from a settled mark, not from the highest number it has received.
"""

import attrs

from socketio_app.domain.history import ConversationState, check_seq

MAX_EPOCH_CHARS = 32


@attrs.frozen
class Mark:
    """A position in a store's activity."""

    settled: int | None
    """Everything up to this number is either visible or rolled back. `None` if a store that was
    just opened does not know yet."""
    latest: int
    """The highest number assigned when the mark was taken."""


@attrs.frozen
class Change:
    """A conversation of a user's with new activity."""

    state: ConversationState
    activity: int
    """Activity of the newest message, or of the user's join if that is later."""
    is_joined: bool
    """Whether the user has joined the room since then."""


@attrs.frozen
class CatchUpCursor:
    """A client's catch-up cursor. Clients treat it as opaque and send it back unchanged.

    It grants no access: a forged cursor still selects only among the user's own conversations.
    """

    epoch: str
    """Epoch of the store that issued the cursor."""
    activity: int = attrs.field(validator=check_seq)
    """The client has everything up to this number."""
    given: int = attrs.field(validator=check_seq)
    """Conversations up to this number were in the pages so far. Greater than `activity` between
    the pages of one catch-up."""
    settled_activity: int = attrs.field(validator=check_seq)
    """Value of `activity` after the last page: the number that was settled before the first one."""

    @classmethod
    def at(cls, epoch: str, activity: int) -> "CatchUpCursor":
        """Return the cursor of a client that has everything up to a settled mark."""
        return cls(epoch, activity, activity, activity)

    @property
    def is_first(self) -> bool:
        """Whether the next page is the first one."""
        return self.given == self.activity

    def after(self, given: int, settled_activity: int) -> "CatchUpCursor":
        """Return the cursor for the next page."""
        return attrs.evolve(self, given=given, settled_activity=settled_activity)
