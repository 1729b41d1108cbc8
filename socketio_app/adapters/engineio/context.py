"""State shared by all sessions of a server."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from socketio_app.adapters.engineio.confirmations import ConfirmationTimer
from socketio_app.adapters.engineio.connect_timeout import ConnectTimeout
from socketio_app.adapters.engineio.heartbeat import Heartbeat
from socketio_app.adapters.engineio.remaining_packets import RemainingPackets
from socketio_app.application.metrics import Metrics

if TYPE_CHECKING:
    from socketio_app.adapters.engineio.client_session import ClientSession


@attrs.define(eq=False)
class SessionContext:
    """The timers, limits and tables that all sessions of a server share."""

    heartbeat: Heartbeat
    connect_timeout: ConnectTimeout
    max_message_bytes: int
    """Maximum size of a message from a client."""
    max_unread_bytes: int
    """Maximum size of the data queued for a client that does not read."""
    ephemeral_unread_bytes: int
    """High-water mark of queued bytes per client; above it, ephemeral frames are dropped."""
    runs_outside_tasks: bool
    """Whether a command may begin outside a task; false if the store asks for the current task, as
    database drivers do for their time-outs."""
    groups_sends: bool
    """Whether consecutive messages of a client are stored together, in one transaction."""
    on_confirmed: Callable[[Sequence[Any]], None]
    """Called with the receipts that a client has confirmed."""
    metrics: Metrics | None
    """Counts what happens to sessions, if given."""
    sessions: dict[str, "ClientSession"] = attrs.field(factory=dict, init=False)
    """Open sessions, by id."""
    confirmations: ConfirmationTimer = attrs.field(factory=ConfirmationTimer, init=False)
    remaining_packets: RemainingPackets = attrs.field(factory=RemainingPackets, init=False)
    is_draining: bool = attrs.field(default=False, init=False)
    """Whether new connections are rejected."""
    has_logged_fallback: bool = attrs.field(default=False, init=False)
    """Whether the log already says that WebSockets are not taken over."""

    def count_dropped_frames(self, count: int) -> None:
        """Count frames that were dropped because their client did not read."""
        if self.metrics is not None:
            self.metrics.frames_dropped += count

    def stop(self) -> None:
        """Stop all timers."""
        self.remaining_packets.stop()
        self.heartbeat.stop()
        self.confirmations.stop()
        self.connect_timeout.stop()
