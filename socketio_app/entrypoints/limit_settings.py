"""Settings for limits.

A value of 0 disables those limits that say so. `RATE_LIMITS` disables all rate and connection
limits, for benchmarks.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs

from socketio_app.application.limits import (
    BURST_SECONDS,
    DEFAULT_RATES,
    CommandKind,
    Limits,
    rate,
)
from socketio_app.domain.identifiers import USER_ID_CHARS
from socketio_app.domain.rates import Rate, Rates
from socketio_app.entrypoints.parsing import integer, seconds, setting, switch

_A_DAY_MS = 86_400_000

_MAX_POSITION_BYTES = 64 + USER_ID_CHARS * 12
"""Maximum size of a position in `catch_up`: each character of an identifier may be an escaped
surrogate pair."""

_BYTES_AROUND_POSITIONS = 2048
"""Bytes reserved for the rest of a `catch_up`."""

_MAX_PER_SECOND = 1_000_000


def _a_second(default: int, meaning: str) -> Any:
    return setting(default, integer(0, _MAX_PER_SECOND), meaning)


@attrs.frozen(kw_only=True)
class LimitSettings:
    """Limits, and rules of the chat. Base class of `Settings`."""

    rate_limits: bool = setting(
        "on",
        switch,
        "`off`: no rate counts, nor how many connections a user has, nor how many handshakes an "
        "address makes; for benchmarks.",
    )
    rate_burst_seconds: float = setting(
        BURST_SECONDS,
        seconds(1, 3600),
        "Of every rate below so many seconds' worth may come at once after a rest.",
    )
    rate_send_per_user: int = _a_second(
        20, "Messages a second, of a user; over it, `rate_limited`; 0: any number."
    )
    rate_send_per_connection: int = _a_second(10, "The same of one connection.")
    rate_membership_per_user: int = _a_second(
        40, "Joins and leaves of rooms a second, of a user; over it, `rate_limited`; 0: any number."
    )
    rate_membership_per_connection: int = _a_second(20, "The same of one connection.")
    rate_typing_per_user: int = _a_second(
        20,
        "Starts, renewals and stops of typing a second, of a user; "
        "over it, `rate_limited`; 0: any number.",
    )
    rate_typing_per_connection: int = _a_second(10, "The same of one connection.")
    rate_reading_per_user: int = _a_second(
        40,
        "Reads of history, lists and marks of reading a second, of a user; "
        "over it, `rate_limited`; 0: any number.",
    )
    rate_reading_per_connection: int = _a_second(20, "The same of one connection.")
    rate_token_per_user: int = _a_second(
        2, "Refreshed tokens a second, of a user; over it, `rate_limited`; 0: any number."
    )
    rate_token_per_connection: int = _a_second(1, "The same of one connection.")
    rate_refusals_per_connection: int = _a_second(
        100,
        "Refusals a second, of whatever kind, that a connection may go on after; over it, it is "
        "closed; 0: any number.",
    )
    rate_refusals_per_user: int = _a_second(
        200, "The same of one user, on all connections; over it, those that go on are closed."
    )
    rate_connect_per_connection: int = _a_second(
        1,
        "Socket.IO CONNECT packets a second over one connection; over it, `rate_limited`; "
        "0: any number.",
    )
    rate_connect_per_user: int = _a_second(
        20,
        "The same of one user, on all connections. In a burst, at least `CONNECTIONS_PER_USER` "
        "should fit.",
    )
    rate_connect_per_address: int = _a_second(
        50,
        "The same from one address (of IPv6, from one /64), beside the first of each connection, "
        "which counts as a handshake.",
    )
    connections_per_user: int = setting(
        100,
        integer(0, 1_000_000),
        "How many connections a user may have to one process; another is refused, as "
        "`too_many_connections`; 0: any number.",
    )
    handshakes_per_address: int = _a_second(
        50,
        "Connections opened a second from one address (of IPv6, from one /64); over it, HTTP 429; "
        "0: any number.",
    )
    connect_timeout_seconds: float = setting(
        20,
        seconds(0, 3600),
        "How long a client may take from its handshake until it is let in; then its connection is "
        "closed; 0: any time.",
    )
    max_frame_bytes: int = setting(
        65_536,
        integer(1024, 16_777_216),
        "The largest frame, or packet of a polling request, that a client may send; a larger one "
        "ends its connection. A polling request may have 16 such packets.",
    )
    max_unread_bytes: int = setting(
        1_048_576,
        integer(65_536, 1_073_741_824),
        "How much may wait for a client that does not read; then its connection is cut, and its "
        "client catches up when it is back.",
    )
    typing_unread_bytes: int = setting(
        65_536,
        integer(0, 1_073_741_824),
        "From how much on such a client is not told any more who is typing.",
    )
    chat_content_chars: int = setting(
        4096,
        integer(1, 1_000_000),
        "How many characters a message may have; a longer one is `content_too_long`.",
    )
    chat_rooms_per_user: int = setting(
        1000,
        integer(1, 100_000),
        "How many rooms one user may be in; joining another is an `invalid_payload`.",
    )
    chat_typing_ttl_ms: int = setting(
        8000, integer(100, _A_DAY_MS), "How long a user is shown typing without a renewal."
    )
    chat_typing_renew_ms: int = setting(
        3000, integer(50, _A_DAY_MS), "How often clients are told to renew."
    )
    chat_typing_room_members: int = setting(
        100,
        integer(0, 1_000_000),
        "In a room of more members nobody is told who is typing.",
    )
    chat_receipt_room_members: int = setting(
        100,
        integer(0, 1_000_000),
        "In a room of more members nobody else is told who has read what.",
    )
    chat_catch_up_messages: int = setting(
        1000,
        integer(1, 100_000),
        "How many messages one answer to `catch_up` carries, of all conversations together; what "
        "is left out is marked.",
    )
    chat_offline_push: int = setting(
        500,
        integer(0, 100_000),
        "How many missed personal messages are pushed to a connection that opens, as fast as its "
        "client takes them; the rest is for `catch_up`.",
    )
    chat_memory_messages: int = setting(
        100_000,
        integer(1, 100_000_000),
        "How many messages the in-memory store keeps, of all conversations together; then it "
        "forgets the oldest, and what they knew of retries.",
    )
    chat_memory_conversations: int = setting(
        100_000,
        integer(1, 100_000_000),
        "How many conversations the in-memory store keeps; a message that would begin another is "
        "`unavailable`.",
    )

    def limits(self) -> Limits:
        """Return the limits of the chat."""
        return Limits(
            content_chars=self.chat_content_chars,
            rooms_per_user=self.chat_rooms_per_user,
            typing_ttl=timedelta(milliseconds=self.chat_typing_ttl_ms),
            typing_renew=timedelta(milliseconds=self.chat_typing_renew_ms),
            typing_room_members=self.chat_typing_room_members,
            receipt_room_members=self.chat_receipt_room_members,
            catch_up_messages=self.chat_catch_up_messages,
            catch_up_positions=self._max_positions,
            offline_push=self.chat_offline_push,
            push_batch_bytes=min(Limits().push_batch_bytes, self.max_unread_bytes // 4),
            rates=self._rates(),
            refusals=self._rate(self.rate_refusals_per_connection),
            refusals_per_user=self._rate(self.rate_refusals_per_user),
            connections_per_user=self.connections_per_user if self.rate_limits else 0,
        )

    @property
    def _max_positions(self) -> int:
        """Number of positions that always fit in a frame, whatever their identifiers."""
        return (self.max_frame_bytes - _BYTES_AROUND_POSITIONS) // _MAX_POSITION_BYTES

    @property
    def handshake_rate(self) -> Rate | None:
        """Rate of new connections per address; `None` if unlimited."""
        return self._rate(self.handshakes_per_address)

    @property
    def connect_rates(self) -> tuple[Rate | None, Rate | None, Rate | None]:
        """Rates of CONNECT packets by connection, address and user; `None` if unlimited."""
        return (
            self._rate(self.rate_connect_per_connection),
            self._rate(self.rate_connect_per_address),
            self._rate(self.rate_connect_per_user),
        )

    def _rates(self) -> Mapping[CommandKind, Rates]:
        """Return the rates of commands, without kinds that are unlimited."""
        found = {
            kind: Rates(
                self._rate(getattr(self, f"rate_{kind}_per_user")),
                self._rate(getattr(self, f"rate_{kind}_per_connection")),
            )
            for kind in DEFAULT_RATES
        }
        return {kind: rates for kind, rates in found.items() if rates != Rates(None, None)}

    def _rate(self, per_second: int) -> Rate | None:
        return rate(per_second, self.rate_burst_seconds) if self.rate_limits else None
