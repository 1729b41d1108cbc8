"""The options of a server, whatever its transport."""

from collections.abc import Callable, Sequence
from secrets import token_urlsafe
from typing import Any

import attrs

from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.fanout.connect_limit import ConnectRates
from socketio_app.domain.rates import Rate


def new_session_id() -> str:
    """Return an id that nobody can guess."""
    return token_urlsafe(15)


@attrs.frozen
class Options:
    """How a server uses the network."""

    cors_origins: Sequence[str] | None = None
    """The web origins that may connect; `None`: only the server's own; `["*"]`: all."""
    max_frame_bytes: int = 65536
    ping_interval_seconds: float = 25
    ping_timeout_seconds: float = 20
    max_unread_bytes: int = 1_048_576
    """Maximum size of what is queued for a client that does not read; beyond, it is cut off."""
    ephemeral_unread_bytes: int = 65_536
    """While more than this is queued for a client, it gets no typing notifications."""
    connect_timeout_seconds: float = 20
    """Time-out of authentication; 0: none."""
    handshakes: Rate | None = None
    """Rate of handshakes from one address; `None`: unlimited."""
    connects: ConnectRates = ConnectRates()
    """Rates of connecting to the namespace."""
    runs_outside_tasks: bool = False
    """See `SessionContext.runs_outside_tasks`."""

    def context(
        self, on_confirmed: Callable[[Sequence[Any]], None], *, is_traced: bool
    ) -> SessionContext:
        """Return what the sessions of a server share."""
        return SessionContext(
            Heartbeat(self.ping_interval_seconds, self.ping_timeout_seconds),
            ConnectTimeout(self.connect_timeout_seconds),
            max_message_bytes=self.max_frame_bytes,
            max_unread_bytes=self.max_unread_bytes,
            ephemeral_unread_bytes=self.ephemeral_unread_bytes,
            runs_outside_tasks=self.runs_outside_tasks and not is_traced,
            on_confirmed=on_confirmed,
        )
