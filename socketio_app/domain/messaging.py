"""Messages, and the rules for their content."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import ContentTooLong, InvalidPayload
from socketio_app.domain.identifiers import ClientMessageId, MessageId, UserId, is_unicode
from socketio_app.domain.values import Value


class Draft(Value, frozen=True):
    """A message that is not stored yet: it has no `seq`."""

    message_id: MessageId
    conversation: Conversation
    from_user_id: UserId
    to_user_id: UserId | None
    """The recipient; `None` for a message to a room."""
    content: str
    created_at: datetime
    """UTC, in whole milliseconds, so that clients get exactly what is stored."""
    client_message_id: ClientMessageId | None = None

    def at(self, seq: int) -> "Message":
        """Return the message that this draft becomes with a `seq`."""
        return Message(
            self.message_id,
            self.conversation,
            seq,
            self.from_user_id,
            self.to_user_id,
            self.content,
            self.created_at,
            self.client_message_id,
        )


class Message(Value, frozen=True):
    """A stored message. Its `seq` is final."""

    message_id: MessageId
    conversation: Conversation
    seq: int
    """Sequence number within the conversation: starts at 1, without gaps."""
    from_user_id: UserId
    to_user_id: UserId | None
    """The recipient; `None` for a message to a room."""
    content: str
    created_at: datetime
    client_message_id: ClientMessageId | None


class Stored(Value, frozen=True):
    """The outcome of storing a draft."""

    message: Message
    duplicate: bool
    """True if the sender has sent it before: `message` is the first one; nothing was stored."""


def content_bytes(messages: Iterable[Message]) -> int:
    """Return the total size of the messages' contents in bytes, encoded as JSON."""
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
    """Return the longest prefix of the messages whose content fits in `max_bytes`."""
    left = max_bytes
    for count, message in enumerate(messages):
        left -= content_bytes((message,))
        if left < 0:
            return messages[:count]
    return messages


def newest_within(messages: Sequence[Message], max_bytes: int) -> Sequence[Message]:
    """Return the longest suffix of the messages whose content fits in `max_bytes`."""
    return oldest_within(messages[::-1], max_bytes)[::-1]


def check_content(content: str, limit: int) -> None:
    """Validate a message's content.

    Args:
        content: the text, which is delivered exactly as sent.
        limit: maximum number of characters (Unicode code points).

    Raises:
        ContentTooLong: the content has more than `limit` characters.
        InvalidPayload: the content is only white space, or contains a lone surrogate.
    """
    if len(content) > limit:
        raise ContentTooLong(f"content has {len(content)} characters, at most {limit} are allowed")
    if not content or content.isspace():
        raise InvalidPayload("content must not be only white space", field="content")
    if not content.isascii() and not is_unicode(content):
        raise InvalidPayload("content contains a lone surrogate", field="content")
