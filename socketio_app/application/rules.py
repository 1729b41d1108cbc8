"""The numbers of the chat, each a setting of whoever runs it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import attrs

from socketio_app.domain.rates import Rate

CommandKind = Literal["send", "membership", "typing", "reading"]
"""Commands are counted together by kind."""

DEFAULT_RATES: Mapping[CommandKind, Rate] = {
    # A person sends two messages a second at best. The burst is an outbox that empties after a
    # time without network.
    "send": Rate(per_second=10, burst=100),
    # A client that starts joins every room that it knows of.
    "membership": Rate(per_second=10, burst=200),
    # Starts, stops and renewals, in several conversations at once.
    "typing": Rate(per_second=10, burst=50),
    # Scrolling back, and marking read what comes in; a client that starts looks everywhere.
    "reading": Rate(per_second=20, burst=200),
}


@attrs.frozen
class Rules:
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
    catch_up_positions: int = 327
    """How many conversations a client may name when it catches up: as many as fit a frame."""
    offline_push: int = 500
    """How many missed personal messages a connection is given when it opens."""
    rates: Mapping[CommandKind, Rate] = DEFAULT_RATES
    """How fast one user may give commands, all their connections together. Empty: no limits."""
