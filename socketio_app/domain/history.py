"""History: pages of a conversation selected by `seq`, never by offset."""

from collections.abc import Sequence
from typing import Self

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.messaging import Message, newest_within, oldest_within

MAX_PAGE_ROWS = 200
DEFAULT_PAGE_ROWS = 50

MAX_SEQ = 2**63 - 1
"""Greatest possible `seq`: every store uses signed 64-bit integers."""


def check_limit(_instance: object, field: "attrs.Attribute[int]", value: int) -> None:
    """Validate a page size.

    Raises:
        InvalidPayload: the value is not between 1 and `MAX_PAGE_ROWS`.
    """
    _check_between(field.name, value, 1, MAX_PAGE_ROWS)


def check_seq(_instance: object, field: "attrs.Attribute[int]", value: int | None) -> None:
    """Validate an optional `seq`, or 0 for the position before the first message.

    Raises:
        InvalidPayload: the value is negative or too large.
    """
    if value is not None:
        _check_between(field.name, value, 0, MAX_SEQ)


@attrs.frozen
class Window:
    """A range of a conversation's messages; the newest ones by default."""

    before_seq: int | None = attrs.field(default=None, validator=check_seq)
    """If set, the newest messages before this `seq`."""
    after_seq: int | None = attrs.field(default=None, validator=check_seq)
    """If set, the oldest messages after this `seq`."""
    limit: int = attrs.field(default=DEFAULT_PAGE_ROWS, validator=check_limit)

    def __attrs_post_init__(self) -> None:
        if self.before_seq is not None and self.after_seq is not None:
            raise InvalidPayload(
                "before_seq and after_seq are mutually exclusive", field="after_seq"
            )


@attrs.frozen
class Page:
    """The messages in a window."""

    messages: Sequence[Message]
    """Messages in ascending `seq`."""
    has_more: bool
    """Whether there are more messages: newer ones after `after_seq`, otherwise older ones."""
    last_seq: int
    """`seq` of the conversation's newest message, or 0 if it is empty."""

    def within(self, max_bytes: int, window: Window) -> Self:
        """Return the page limited to `max_bytes` of content, dropping messages from the far end.

        At least one message is kept, whatever its size.
        """
        if window.after_seq is not None:
            messages = oldest_within(self.messages, max_bytes) or self.messages[:1]
        else:
            messages = newest_within(self.messages, max_bytes) or self.messages[-1:]
        if len(messages) == len(self.messages):
            return self
        return attrs.evolve(self, messages=messages, has_more=True)


@attrs.frozen
class ConversationState:
    """A conversation as seen by one of its users."""

    conversation: Conversation
    last_seq: int
    activity: int
    """Activity number of the conversation, which increases with every message."""
    delivered_seq: int
    """`seq` up to which messages were delivered to the other user of a pair; in a room, that of
    its newest message."""
    read_seq: int
    """`seq` up to which the user has read: their read marker, or their own newest message."""

    @property
    def unread_count(self) -> int:
        """Number of unread messages, all from other users: a user's own advance `read_seq`."""
        return self.last_seq - self.read_seq


@attrs.frozen
class Recent:
    """A user's conversation with its newest message, from the same snapshot."""

    state: ConversationState
    last_message: Message | None
    """`None` if the room has no messages, or its newest message is no longer stored."""


@attrs.frozen
class ReadMarker:
    """A user's read marker after an update."""

    read_seq: int
    moved: bool
    """False if the marker was already there or further."""


def _check_between(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidPayload(f"{field} must be between {least} and {most}", field=field)
