"""Limits of the chat, with their settings. This is the one place that states a limit's default."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from socketio_app.application.commands import MAX_POSITIONS, CommandKind
from socketio_app.application.limit_fields import (
    LimitSetting,
    duration,
    limit,
    rate,
    rate_limit,
    rate_setting,
)
from socketio_app.domain.rates import Rate, Rates

_A_DAY_MS = 86_400_000


@attrs.frozen
class CommandRate:
    """Default rates of a kind of command, in commands per second."""

    per_user: int
    per_connection: int
    commands: str
    """The commands of the kind, in the descriptions of the settings."""

    @property
    def rates(self) -> Rates:
        """The default rates."""
        return Rates(rate(self.per_user), rate(self.per_connection))

    def settings(self, kind: CommandKind) -> tuple[LimitSetting, LimitSetting]:
        """Return the settings of the rates per user and per connection."""
        meaning = (
            f"{self.commands} per second and user; above it, `rate_limited`. 0 disables the limit."
        )
        name = f"RATE_{kind.upper()}_PER"
        return (
            rate_setting(f"{name}_USER", self.per_user, meaning),
            rate_setting(f"{name}_CONNECTION", self.per_connection, "The same per connection."),
        )


COMMAND_RATES: Mapping[CommandKind, CommandRate] = {
    # A person sends two messages a second at best. The burst allows a client to send the messages
    # that it queued while offline.
    "send": CommandRate(20, 10, "Messages"),
    # When a client starts, it joins every room it knows.
    "membership": CommandRate(40, 20, "Joins and leaves"),
    # Starts, stops and renewals, in several conversations at once.
    "typing": CommandRate(20, 10, "Typing starts, renewals and stops"),
    # Scrolling back and marking messages as read; on start, a client loads every conversation.
    "reading": CommandRate(
        40, 20, "`fetch_history`, `list_conversations`, `catch_up` and `mark_read` commands"
    ),
    # Once in a token's lifetime. Each refresh verifies a signature.
    "token": CommandRate(2, 1, "Token refreshes"),
}

DEFAULT_RATES: Mapping[CommandKind, Rates] = {
    kind: command_rate.rates for kind, command_rate in COMMAND_RATES.items()
}


@attrs.frozen
class Limits:
    """Limits that a deployment can set."""

    rates: Mapping[CommandKind, Rates] = DEFAULT_RATES
    """Rate limits by kind of command. Kinds that are missing are unlimited."""
    refusals: Rate | None = rate_limit(
        "RATE_REFUSALS_PER_CONNECTION",
        100,
        "Rejected commands and packets per second and connection; above it, the connection is "
        "closed. 0 disables the limit.",
    )
    refusals_per_user: Rate | None = rate_limit(
        "RATE_REFUSALS_PER_USER",
        200,
        "The same per user, for all connections together; above it, each connection with another "
        "rejection is closed.",
    )
    max_connections_per_user: int = limit(
        "CONNECTIONS_PER_USER",
        100,
        0,
        1_000_000,
        "Maximum number of connections of a user to one process; others are rejected with "
        "`too_many_connections`. 0 disables the limit.",
    )
    max_content_chars: int = limit(
        "CHAT_CONTENT_CHARS",
        4096,
        1,
        1_000_000,
        "Maximum length of a message, in characters; a longer one is rejected with "
        "`content_too_long`.",
    )
    max_rooms_per_user: int = limit(
        "CHAT_ROOMS_PER_USER",
        1000,
        1,
        100_000,
        "Maximum number of rooms per user; joining another is rejected with `invalid_payload`.",
    )
    typing_ttl: timedelta = duration(
        "CHAT_TYPING_TTL_MS",
        8000,
        100,
        _A_DAY_MS,
        "Lifetime of a typing state that is not renewed, in ms.",
    )
    # Announced to clients, not enforced.
    typing_renew: timedelta = duration(
        "CHAT_TYPING_RENEW_MS",
        3000,
        50,
        _A_DAY_MS,
        "Interval at which clients should renew their typing state, in ms.",
    )
    # The cost of typing events and of receipts is quadratic in the size of the room.
    max_typing_room_members: int = limit(
        "CHAT_TYPING_ROOM_MEMBERS",
        100,
        0,
        1_000_000,
        "Maximum number of members of a room with typing events.",
    )
    max_receipt_room_members: int = limit(
        "CHAT_RECEIPT_ROOM_MEMBERS",
        100,
        0,
        1_000_000,
        "Maximum number of members of a room with read receipts. In larger ones `message_read` "
        "only goes to the reader's own connections.",
    )
    max_catch_up_messages: int = limit(
        "CHAT_CATCH_UP_MESSAGES",
        1000,
        1,
        100_000,
        "Maximum number of messages in one answer to `catch_up`, for all conversations together; "
        "conversations with fewer messages than are new are marked as `limited`.",
    )
    max_offline_push: int = limit(
        "CHAT_OFFLINE_PUSH",
        500,
        0,
        100_000,
        "Maximum number of missed personal messages that are pushed to a new connection, as fast "
        "as its client reads; `catch_up` returns the rest.",
    )
    max_catch_up_positions: int = MAX_POSITIONS
    """Maximum number of positions in a `CatchUp` command that clients are told of."""
    max_push_batch_bytes: int = 262_144
    """Maximum size of a batch of missed messages, in bytes of content."""
