"""The numbers of the chat, each a setting of whoever runs it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import attrs

from socketio_app.domain.rates import Rate, Rates

CommandKind = Literal["send", "membership", "typing", "reading", "token"]
"""Commands are counted together by kind."""

BURST_SECONDS = 10
"""So many seconds' worth may come at once after a rest."""


def rate(per_second: int, burst_seconds: float = BURST_SECONDS) -> Rate | None:
    """Return a rate with a burst of some seconds' worth; `None` for 0 a second."""
    return Rate(per_second, round(per_second * burst_seconds)) if per_second else None


DEFAULT_RATES: Mapping[CommandKind, Rates] = {
    # A person sends two messages a second at best. The burst is an outbox that empties after a
    # time without network.
    "send": Rates(rate(20), rate(10)),
    # A client that starts joins every room that it knows of.
    "membership": Rates(rate(40), rate(20)),
    # Starts, stops and renewals, in several conversations at once.
    "typing": Rates(rate(20), rate(10)),
    # Scrolling back, and marking read what comes in; a client that starts looks everywhere.
    "reading": Rates(rate(40), rate(20)),
    # Once for the life of a token. Each costs a signature's verification.
    "token": Rates(rate(2), rate(1)),
}


@attrs.frozen
class Limits:
    """What a deployment may set."""

    content_chars: int = 4096
    """How many characters a message may have."""
    rooms_per_user: int = 1000
    typing_ttl: timedelta = timedelta(seconds=8)
    """How long a typing state lasts without a renewal."""
    typing_renew: timedelta = timedelta(seconds=3)
    """How often a client that goes on typing should say so; told to clients, not enforced."""
    typing_room_members: int = 100
    """In a larger room nobody is told who is typing: its cost is members squared."""
    receipt_room_members: int = 100
    """In a larger room nobody else is told who has read what: its cost is members squared."""
    catch_up_messages: int = 1000
    """How many messages one answer to `CatchUp` carries, of all conversations together."""
    catch_up_positions: int = 39
    """How many conversations a client may name when it catches up: as many as fit a frame."""
    offline_push: int = 500
    """How many missed personal messages a connection is given when it opens."""
    push_batch_bytes: int = 262_144
    """Maximum size of the missed messages that are sent before the client has taken any."""
    rates: Mapping[CommandKind, Rates] = DEFAULT_RATES
    """How fast commands may be given, by each user and each connection. Empty: no limits."""
    refusals: Rate | None = rate(100)
    """How often a connection may be refused something, and still be served."""
    refusals_per_user: Rate | None = rate(200)
    """The same of all connections of a user together."""
    connections_per_user: int = 100
    """How many connections one user may have open here; 0: any number."""
