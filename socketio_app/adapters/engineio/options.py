"""Server options that apply to every transport."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from os import urandom
from typing import Any

import attrs

from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.context import SessionContext
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.fanout.connect_limit import ConnectRates
from socketio_app.application.metrics import Metrics
from socketio_app.domain.rates import Rate


def new_session_id() -> str:
    """Return an unguessable session id, as `secrets.token_urlsafe` does in three times as long."""
    return urlsafe_b64encode(urandom(15)).decode("ascii")


@attrs.frozen(kw_only=True)
class Options:
    """Network options of a server. Their defaults are those of the settings."""

    cors_origins: Sequence[str] | None = None
    """Allowed origins and patterns; `None`: only the server's own; `["*"]`: all."""
    max_frame_bytes: int
    ping_interval_seconds: float
    ping_timeout_seconds: float
    max_unread_bytes: int
    """Maximum size of the data queued for a client; beyond, its connection is closed."""
    ephemeral_unread_bytes: int
    """High-water mark of queued bytes per client; above it, typing notifications are dropped."""
    connect_timeout_seconds: float
    """Time-out of authentication; 0: none."""
    handshakes: Rate | None = None
    """Rate limit of handshakes per address; `None`: unlimited."""
    connects: ConnectRates = ConnectRates()
    """Rate limits of connecting to the namespace."""
    runs_outside_tasks: bool = False
    """See `SessionContext.runs_outside_tasks`."""
    groups_sends: bool = False
    """See `SessionContext.groups_sends`."""

    def context(
        self,
        on_confirmed: Callable[[Sequence[Any]], None],
        metrics: Metrics | None,
        *,
        is_traced: bool,
    ) -> SessionContext:
        """Create the shared state of a server's sessions."""
        return SessionContext(
            Heartbeat(self.ping_interval_seconds, self.ping_timeout_seconds),
            ConnectTimeout(self.connect_timeout_seconds),
            max_message_bytes=self.max_frame_bytes,
            max_unread_bytes=self.max_unread_bytes,
            ephemeral_unread_bytes=self.ephemeral_unread_bytes,
            runs_outside_tasks=self.runs_outside_tasks and not is_traced,
            groups_sends=self.groups_sends and not is_traced,
            on_confirmed=on_confirmed,
            metrics=metrics,
        )
