"""Every error that is reported to clients, each with a stable code.

The codes are part of the wire contract (docs/wire.md, "Errors"): their meaning never changes.
"""

from typing import ClassVar


class ChatError(Exception):
    """Base class for rejected commands. A rejected command has no effect."""

    code: ClassVar[str]
    """Stable, machine-readable name of the error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """Human-readable description. Contains nothing that must be hidden from the client."""


class TokenRejected(ChatError):
    """Base class for rejected tokens. Only the code is sent to the client."""

    def __init__(self, message: str, reason: str = "not given") -> None:
        super().__init__(message)
        self.reason = reason
        """Reason for the operator's log. Never sent to the client; never contains the token."""


class Unauthenticated(TokenRejected):
    """The token is missing, malformed, not yet valid, for another audience or wrongly signed."""

    code = "unauthenticated"


class TokenExpired(TokenRejected):
    """The token has expired."""

    code = "token_expired"


class TooManyConnections(ChatError):
    """The user already has the maximum number of connections."""

    code = "too_many_connections"


class InvalidPayload(ChatError):
    """A field is missing, of the wrong type or out of bounds."""

    code = "invalid_payload"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        """The first invalid field; `None` if the payload as a whole is invalid."""


class ContentTooLong(ChatError):
    """A message's content exceeds the maximum length."""

    code = "content_too_long"
    field = "content"


class UnknownCommand(ChatError):
    """There is no such command."""

    code = "unknown_command"


class NotAMember(ChatError):
    """The user is not a member of the room."""

    code = "not_a_member"


class Conflict(ChatError):
    """The `client_message_id` was used for a message with different content."""

    code = "conflict"
    field = "client_message_id"


class RateLimited(ChatError):
    """The user or the connection exceeds a rate limit."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms
        """Time to wait before retrying, in milliseconds."""


class Unavailable(ChatError):
    """The server or its store cannot handle the command now. Clients can retry it."""

    code = "unavailable"
