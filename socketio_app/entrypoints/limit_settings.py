"""Settings for limits.

A value of 0 disables those limits that say so. `RATE_LIMITS` disables all rate and connection
limits, for benchmarks.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs

from socketio_app.application.commands import CommandKind
from socketio_app.application.limits import (
    BURST_SECONDS,
    DEFAULT_RATES,
    Limits,
    rate,
)
from socketio_app.domain.identifiers import MAX_USER_ID_CHARS
from socketio_app.domain.rates import Rate, Rates
from socketio_app.entrypoints.parsing import integer, seconds, setting, switch

_A_DAY_MS = 86_400_000

_MAX_POSITION_BYTES = 64 + MAX_USER_ID_CHARS * 12
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
        "`off` disables all rates, `CONNECTIONS_PER_USER` and `HANDSHAKES_PER_ADDRESS`; for "
        "benchmarks.",
    )
    rate_burst_seconds: float = setting(
        BURST_SECONDS,
        seconds(1, 3600),
        "Burst size for the rates below, in seconds of traffic.",
    )
    rate_send_per_user: int = _a_second(
        20, "Messages per second and user; above it, `rate_limited`. 0 disables the limit."
    )
    rate_send_per_connection: int = _a_second(10, "The same per connection.")
    rate_membership_per_user: int = _a_second(
        40,
        "Joins and leaves per second and user; above it, `rate_limited`. 0 disables the limit.",
    )
    rate_membership_per_connection: int = _a_second(20, "The same per connection.")
    rate_typing_per_user: int = _a_second(
        20,
        "Typing starts, renewals and stops per second and user; above it, `rate_limited`. 0 "
        "disables the limit.",
    )
    rate_typing_per_connection: int = _a_second(10, "The same per connection.")
    rate_reading_per_user: int = _a_second(
        40,
        "`fetch_history`, `list_conversations`, `catch_up` and `mark_read` commands per second and "
        "user; above it, `rate_limited`. 0 disables the limit.",
    )
    rate_reading_per_connection: int = _a_second(20, "The same per connection.")
    rate_token_per_user: int = _a_second(
        2, "Token refreshes per second and user; above it, `rate_limited`. 0 disables the limit."
    )
    rate_token_per_connection: int = _a_second(1, "The same per connection.")
    rate_refusals_per_connection: int = _a_second(
        100,
        "Rejected commands and packets per second and connection; above it, the connection is "
        "closed. 0 disables the limit.",
    )
    rate_refusals_per_user: int = _a_second(
        200,
        "The same per user, for all connections together; above it, each connection with another "
        "rejection is closed.",
    )
    rate_connect_per_connection: int = _a_second(
        1,
        "Socket.IO CONNECT packets per second and connection; above it, `rate_limited`. 0 disables "
        "the limit.",
    )
    rate_connect_per_user: int = _a_second(
        20,
        "The same per user, for all connections together. A burst should allow at least "
        "`CONNECTIONS_PER_USER`.",
    )
    rate_connect_per_address: int = _a_second(
        50,
        "The same per IPv4 address or IPv6 /64. The first CONNECT of each connection is not "
        "counted: it belongs to the handshake.",
    )
    connections_per_user: int = setting(
        100,
        integer(0, 1_000_000),
        "Maximum number of connections of a user to one process; others are rejected with "
        "`too_many_connections`. 0 disables the limit.",
    )
    handshakes_per_address: int = _a_second(
        50,
        "New connections per second from an IPv4 address or IPv6 /64; above it, HTTP 429. 0 "
        "disables the limit.",
    )
    connect_timeout_seconds: float = setting(
        20,
        seconds(0, 3600),
        "Maximum time from handshake to authentication, in seconds; then the connection is closed. "
        "0 disables the limit.",
    )
    max_frame_bytes: int = setting(
        65_536,
        integer(1024, 16_777_216),
        "Maximum size of a frame from a client, or of a packet in a polling request, in bytes; a "
        "larger one closes the connection. A polling request may have 16 packets of this size.",
    )
    max_unread_bytes: int = setting(
        1_048_576,
        integer(65_536, 1_073_741_824),
        "Maximum size of the data buffered for a slow client, in bytes; beyond it, the connection "
        "is reset, and the client catches up when it reconnects.",
    )
    typing_unread_bytes: int = setting(
        65_536,
        integer(0, 1_073_741_824),
        "Size of the data buffered for a slow client, in bytes, above which typing events to it "
        "are dropped.",
    )
    chat_content_chars: int = setting(
        4096,
        integer(1, 1_000_000),
        "Maximum length of a message, in characters; a longer one is rejected with "
        "`content_too_long`.",
    )
    chat_rooms_per_user: int = setting(
        1000,
        integer(1, 100_000),
        "Maximum number of rooms per user; joining another is rejected with `invalid_payload`.",
    )
    chat_typing_ttl_ms: int = setting(
        8000, integer(100, _A_DAY_MS), "Lifetime of a typing state that is not renewed, in ms."
    )
    chat_typing_renew_ms: int = setting(
        3000,
        integer(50, _A_DAY_MS),
        "Interval at which clients should renew their typing state, in ms.",
    )
    chat_typing_room_members: int = setting(
        100,
        integer(0, 1_000_000),
        "Maximum number of members of a room with typing events.",
    )
    chat_receipt_room_members: int = setting(
        100,
        integer(0, 1_000_000),
        "Maximum number of members of a room with read receipts. In larger ones `message_read` "
        "only goes to the reader's own connections.",
    )
    chat_catch_up_messages: int = setting(
        1000,
        integer(1, 100_000),
        "Maximum number of messages in one answer to `catch_up`, for all conversations together; "
        "conversations with fewer messages than are new are marked as `limited`.",
    )
    chat_offline_push: int = setting(
        500,
        integer(0, 100_000),
        "Maximum number of missed personal messages that are pushed to a new connection, as fast "
        "as its client reads; `catch_up` returns the rest.",
    )
    chat_memory_messages: int = setting(
        100_000,
        integer(1, 100_000_000),
        "Maximum number of messages in the memory store, for all conversations together; beyond "
        "it, the oldest are evicted, and retries of them are no longer recognized.",
    )
    chat_memory_conversations: int = setting(
        100_000,
        integer(1, 100_000_000),
        "Maximum number of conversations in the memory store; a message that would start another "
        "is rejected with `unavailable`.",
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
