"""Every error that a client can be told of, each with its stable code.

The codes are part of the wire contract (docs/wire.md, "Errors"): they never change their meaning.
"""

from typing import ClassVar


class ChatError(Exception):
    """A command that was refused. Nothing of it took effect."""

    code: ClassVar[str]
    """The stable name of the error, for programs."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """What is wrong, for people. Holds nothing that the client may not know."""


class TokenRejected(ChatError):
    """A token proves no identity. The client only learns the code."""

    def __init__(self, message: str, reason: str = "not given") -> None:
        super().__init__(message)
        self.reason = reason
        """Why, for the operator's log: never sent to the client, and free of the token's text."""


class Unauthenticated(TokenRejected):
    """The token is missing, malformed, not yet valid, not for us, or not signed by us."""

    code = "unauthenticated"


class TokenExpired(TokenRejected):
    """The token was good once."""

    code = "token_expired"


class TooManyConnections(ChatError):
    """The user has as many connections as one may have."""

    code = "too_many_connections"


class InvalidPayload(ChatError):
    """A field is missing, of the wrong type or out of bounds."""

    code = "invalid_payload"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        """The first field that is wrong; `None` where the payload as a whole is."""


class ContentTooLong(ChatError):
    """A message's content is over the limit."""

    code = "content_too_long"
    field = "content"


class UnknownCommand(ChatError):
    """There is no such command."""

    code = "unknown_command"


class NotAMember(ChatError):
    """A room's command from a user who is not in the room."""

    code = "not_a_member"


class Conflict(ChatError):
    """The `client_message_id` belongs to a stored message with other content."""

    code = "conflict"
    field = "client_message_id"


class RateLimited(ChatError):
    """The user is too fast."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms
        """How long to wait, in milliseconds, before the command would be admitted."""


class Unavailable(ChatError):
    """The store cannot take it now. Nothing was stored; the same command may be tried again."""

    code = "unavailable"
