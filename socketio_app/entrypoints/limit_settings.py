"""Settings for limits.

The settings of the chat's limits are derived from `Limits`; the others are declared here. A value
of 0 disables those limits that say so. `RATE_LIMITS` disables all rate and connection limits, for
benchmarks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from socketio_app.application.commands import MAX_POSITIONS, CommandKind
from socketio_app.application.limit_fields import (
    BURST_SECONDS,
    LimitSetting,
    rate,
    rate_setting,
    settings_of,
)
from socketio_app.application.limits import COMMAND_RATES, Limits
from socketio_app.domain.identifiers import MAX_USER_ID_CHARS
from socketio_app.domain.rates import Rate, Rates
from socketio_app.entrypoints.parsing import (
    integer,
    optional,
    schema_name,
    seconds,
    setting,
    switch,
)

_MAX_POSITION_BYTES = 64 + MAX_USER_ID_CHARS * 12
"""Maximum size of a position in `catch_up`: each character of an identifier may be an escaped
surrogate pair."""

_BYTES_AROUND_POSITIONS = 2048
"""Bytes reserved for the rest of a `catch_up`."""

_DEFAULT_LIMITS = Limits()


def _derived(limit: LimitSetting) -> Any:
    return setting(limit.default, integer(limit.lowest, limit.highest), limit.meaning)


def _a_second(default: int, meaning: str) -> Any:
    return _derived(rate_setting("", default, meaning))


@attrs.frozen(kw_only=True)
class ConnectionLimitSettings:
    """Limits of connections."""

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

    def _rate(self, per_second: int) -> Rate | None:
        return rate(per_second, self.rate_burst_seconds) if self.rate_limits else None


def _settings_of_the_chat() -> Iterator[LimitSetting]:
    for kind, command_rate in COMMAND_RATES.items():
        yield from command_rate.settings(kind)
    yield from settings_of(Limits).values()


@attrs.frozen(
    kw_only=True,
    these={each.name.lower(): _derived(each) for each in _settings_of_the_chat()},
)
class ChatLimitSettings(ConnectionLimitSettings):
    """Limits of the chat: those that `Limits` declares."""

    def limits(self) -> Limits:
        """Return the limits of the chat."""
        values = {field: self._limit(each) for field, each in settings_of(Limits).items()}
        limits = Limits(
            **values,
            rates=self._rates(),
            max_catch_up_positions=min(MAX_POSITIONS, self._positions_in_frame),
            max_push_batch_bytes=min(
                _DEFAULT_LIMITS.max_push_batch_bytes, self.max_unread_bytes // 4
            ),
        )
        return limits if self.rate_limits else attrs.evolve(limits, max_connections_per_user=0)

    @property
    def _positions_in_frame(self) -> int:
        """Number of positions that always fit in a frame, whatever their identifiers."""
        return (self.max_frame_bytes - _BYTES_AROUND_POSITIONS) // _MAX_POSITION_BYTES

    def _rates(self) -> Mapping[CommandKind, Rates]:
        """Return the rates of commands, without kinds that are unlimited."""
        found = {
            kind: Rates(*[self._limit(each) for each in command_rate.settings(kind)])
            for kind, command_rate in COMMAND_RATES.items()
        }
        return {kind: rates for kind, rates in found.items() if rates != Rates(None, None)}

    def _limit(self, limit: LimitSetting) -> Any:
        """Return the configured value of a limit."""
        if limit.unit == "per second" and not self.rate_limits:
            return None
        return limit.limit(getattr(self, limit.name.lower()), self.rate_burst_seconds)


@attrs.frozen(kw_only=True)
class LimitSettings(ChatLimitSettings):
    """All limits, and the settings of the stores. Base class of `Settings`."""

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
    chat_database_pool_size: int = setting(
        10,
        integer(1, 1000),
        "Maximum number of connections to PostgreSQL; there is one more, which appends messages. "
        "Commands wait for a free one for up to 10 seconds.",
    )
    chat_database_schema: str | None = setting(
        None,
        optional(schema_name),
        "PostgreSQL schema of the chat's tables, which `socketio-app migrate` creates. If unset, "
        "that of the URL or of the database. Other stores ignore it.",
    )
