"""What a message is, which content it may have, and its place in its conversation."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import ContentTooLong, InvalidPayload
from socketio_app.domain.identifiers import ClientMessageId, MessageId, UserId, is_unicode


@attrs.frozen
class Draft:
    """A message that is about to be stored: all of it but its place."""

    message_id: MessageId
    conversation: Conversation
    from_user_id: UserId
    content: str
    created_at: datetime
    """UTC, in whole milliseconds: what a client is told is what is stored."""
    client_message_id: ClientMessageId | None = None

    def at(self, seq: int) -> "Message":
        """The message that this draft becomes at place `seq`."""
        return Message(
            self.message_id,
            self.conversation,
            seq,
            self.from_user_id,
            self.content,
            self.created_at,
            self.client_message_id,
        )


@attrs.frozen
class Message:
    """A stored message. Its place is final."""

    message_id: MessageId
    conversation: Conversation
    seq: int
    """Its place in the conversation: from 1, rising, without gaps."""
    from_user_id: UserId
    content: str
    created_at: datetime
    client_message_id: ClientMessageId | None

    @property
    def to_user_id(self) -> UserId | None:
        """Whom it is for; `None` for a room's message."""
        return self.conversation.recipient(self.from_user_id)


@attrs.frozen
class Stored:
    """What became of a draft."""

    message: Message
    duplicate: bool
    """The sender has sent this before; `message` is the first one, and nothing was stored."""


def content_bytes(messages: Iterable[Message]) -> int:
    """The size of some messages' contents together, in bytes, as clients are sent them: as JSON."""
    return sum(_json_bytes(message.content) for message in messages)


def _json_bytes(content: str) -> int:
    encoded = content.encode()
    escaped = len(encoded) - len(encoded.translate(None, _ESCAPED))
    if not escaped:
        return len(encoded)
    as_hexadecimal = len(encoded) - len(encoded.translate(None, _ESCAPED_AS_HEXADECIMAL))
    return len(encoded) + escaped + 4 * as_hexadecimal


_ESCAPED_AS_HEXADECIMAL: Final = bytes(code for code in range(0x20) if code not in b"\b\f\n\r\t")
_ESCAPED: Final = _ESCAPED_AS_HEXADECIMAL + b'\b\f\n\r\t"\\'


def oldest_within(messages: Sequence[Message], max_bytes: int) -> Sequence[Message]:
    """The first of the messages, as many as have no more content between them."""
    left = max_bytes
    for count, message in enumerate(messages):
        left -= content_bytes((message,))
        if left < 0:
            return messages[:count]
    return messages


def newest_within(messages: Sequence[Message], max_bytes: int) -> Sequence[Message]:
    """The last of the messages, as many as have no more content between them."""
    return oldest_within(messages[::-1], max_bytes)[::-1]


def check_content(content: str, limit: int) -> None:
    """Refuse what may not be a message's content.

    Args:
        content: the text, which is delivered exactly as sent.
        limit: how many characters (Unicode code points) it may have.

    Raises:
        ContentTooLong: it has more than `limit`.
        InvalidPayload: it holds nothing but white space, or a lone surrogate.
    """
    if len(content) > limit:
        raise ContentTooLong(f"content has {len(content)} characters, at most {limit} are allowed")
    if not content or content.isspace():
        raise InvalidPayload("content holds nothing but white space", field="content")
    if not content.isascii() and not is_unicode(content):
        raise InvalidPayload("content holds a lone surrogate", field="content")
