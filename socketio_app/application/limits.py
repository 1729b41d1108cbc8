"""Configurable limits of the chat."""

from collections.abc import Mapping
from datetime import timedelta

import attrs

from socketio_app.application.commands import CommandKind
from socketio_app.domain.rates import Rate, Rates

BURST_SECONDS = 10
"""Default burst size, in seconds of traffic."""


def rate(per_second: int, burst_seconds: float = BURST_SECONDS) -> Rate | None:
    """Return a rate with a burst of `burst_seconds` of traffic, or `None` if the rate is 0."""
    return Rate(per_second, round(per_second * burst_seconds)) if per_second else None


DEFAULT_RATES: Mapping[CommandKind, Rates] = {
    # A person sends two messages a second at best. The burst allows a client to send the messages
    # that it queued while offline.
    "send": Rates(rate(20), rate(10)),
    # When a client starts, it joins every room it knows.
    "membership": Rates(rate(40), rate(20)),
    # Starts, stops and renewals, in several conversations at once.
    "typing": Rates(rate(20), rate(10)),
    # Scrolling back and marking messages as read; on start, a client loads every conversation.
    "reading": Rates(rate(40), rate(20)),
    # Once in a token's lifetime. Each refresh verifies a signature.
    "token": Rates(rate(2), rate(1)),
}


@attrs.frozen
class Limits:
    """Limits that a deployment can set."""

    content_chars: int = 4096
    """Maximum length of a message, in characters."""
    rooms_per_user: int = 1000
    typing_ttl: timedelta = timedelta(seconds=8)
    """Lifetime of a typing state that is not renewed."""
    typing_renew: timedelta = timedelta(seconds=3)
    """Interval at which clients should renew a typing state; announced, not enforced."""
    typing_room_members: int = 100
    """Maximum size of a room with typing events, whose cost is quadratic in the room's size."""
    receipt_room_members: int = 100
    """Maximum size of a room with read receipts, whose cost is quadratic in the room's size. In a
    larger room, only the reader's other connections get them."""
    catch_up_messages: int = 1000
    """Maximum number of messages in one result of `CatchUp`."""
    catch_up_positions: int = 39
    """Maximum number of positions in a `CatchUp` command: as many as fit in a frame."""
    offline_push: int = 500
    """Maximum number of missed personal messages pushed to a new connection."""
    push_batch_bytes: int = 262_144
    """Maximum size of a batch of missed messages, in bytes of content."""
    rates: Mapping[CommandKind, Rates] = DEFAULT_RATES
    """Rate limits by kind of command. Kinds that are missing are unlimited."""
    refusals: Rate | None = rate(100)
    """Rate of rejections above which a connection is closed."""
    refusals_per_user: Rate | None = rate(200)
    """Rate of rejections of a user; above it, a connection that is rejected again is closed."""
    connections_per_user: int = 100
    """Maximum number of open connections per user, in this process; 0 means unlimited."""
