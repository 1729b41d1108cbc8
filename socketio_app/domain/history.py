"""Reading what was said: windows of a conversation, by place and never by offset."""

from collections.abc import Sequence
from typing import Self

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.messaging import Message, newest_within, oldest_within

MAX_PAGE_ROWS = 200
DEFAULT_ON_A_PAGE = 50

LAST_SEQ_EVER = 2**63 - 1
"""Places are signed 64-bit integers in every store."""


def check_limit(_instance: object, field: "attrs.Attribute[int]", value: int) -> None:
    """Validate an attribute that says how many are asked for.

    Raises:
        InvalidPayload: it is not from 1 to `MAX_PAGE_ROWS`.
    """
    _check_between(field.name, value, 1, MAX_PAGE_ROWS)


def check_seq(_instance: object, field: "attrs.Attribute[int]", value: int | None) -> None:
    """Validate an attribute that may hold a place; 0 is the one before the first.

    Raises:
        InvalidPayload: no place can be there.
    """
    if value is not None:
        _check_between(field.name, value, 0, LAST_SEQ_EVER)


@attrs.frozen
class Window:
    """Which of a conversation's messages to read: the newest of all, or those next to a place."""

    before_seq: int | None = attrs.field(default=None, validator=check_seq)
    """The newest before this place."""
    after_seq: int | None = attrs.field(default=None, validator=check_seq)
    """The oldest after this place."""
    limit: int = attrs.field(default=DEFAULT_ON_A_PAGE, validator=check_limit)

    def __attrs_post_init__(self) -> None:
        if self.before_seq is not None and self.after_seq is not None:
            raise InvalidPayload(
                "a page is before a place or after one, not both", field="after_seq"
            )


@attrs.frozen
class Page:
    """The messages in a window."""

    messages: Sequence[Message]
    """In rising `seq`."""
    has_more: bool
    """There are more: older ones, or in a window after a place, newer ones."""
    last_seq: int
    """The place of the conversation's newest message, 0 before the first."""

    def within(self, max_bytes: int, window: Window) -> Self:
        """The page, of a window, with no more content than that: what lies nearest is on it.

        One message is, whatever its size.
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
    """Where somebody stands in one of their conversations."""

    conversation: Conversation
    last_seq: int
    activity: int
    """Rises with every message of the store: the greater, the newer."""
    delivered_seq: int
    """How far the other person of a pair has been given it; in a room, its newest message."""
    read_seq: int
    """How far the user has read it: what they marked, or their own newest message."""

    @property
    def unread_count(self) -> int:
        """How many messages are unread. All are from others, as one's own move `read_seq`."""
        return self.last_seq - self.read_seq


@attrs.frozen
class Recent:
    """One of somebody's conversations with its newest message, both of the same moment."""

    state: ConversationState
    last_message: Message | None
    """`None` in a room without messages, or where its newest is not kept."""


@attrs.frozen
class ReadMarker:
    """Somebody's place of reading after they marked one."""

    read_seq: int
    moved: bool
    """False when they had read as far before."""


def _check_between(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidPayload(f"{field} must be from {least} to {most}", field=field)
