"""The metrics of the chat.

These are plain numbers, which cost a fraction of a microsecond to update. An adapter for a metrics
system reads them on request.
"""

from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Final

import attrs

from socketio_app.application.events import Event, MessageSent
from socketio_app.application.metric_fields import (
    Histogram,
    Read,
    counter,
    histogram,
    read_gauge,
)

DURATION_BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Buckets for durations: from a fraction of a video frame to when a person gives up."""

SIZE_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Buckets for the number of writes in a transaction."""

OTHER: Final = "other"
"""Label for all unknown commands, so that clients cannot create labels."""


@attrs.define(eq=False)
class Metrics:
    """Metrics since the start of the process.

    Args:
        command_names: names of all commands.
        now: returns the time in seconds since 1970; `Clock` costs twice as much.
    """

    _command_names: Iterable[str]
    _now: Callable[[], float] = time

    connections: Read = read_gauge("Open connections.")
    connections_opened: int = counter("Connections accepted.")
    connections_closed: dict[str, int] = counter("Connections closed, by reason.", "reason")
    connections_refused: dict[str, int] = counter("Connections refused, by error code.", "code")
    commands: Mapping[str, dict[str, int]] = counter(
        "Commands, by outcome: `ok` or an error code.", "command", "outcome"
    )
    command_seconds: Mapping[str, Histogram] = histogram(
        "From receiving a command to acknowledging it.", DURATION_BUCKETS, "command"
    )
    deliveries: int = counter("Events delivered to connections.")
    delivery_seconds: Histogram = histogram(
        "From accepting a message to its delivery to the last recipient's connection.",
        DURATION_BUCKETS,
    )
    unread_bytes: Read = read_gauge(
        "Bytes queued for clients that have not read or polled them yet."
    )
    frames_dropped: int = counter("Frames dropped because clients did not read.")
    commit_writes: Histogram = histogram("Writes per transaction.", SIZE_BUCKETS)
    commit_seconds: Histogram = histogram("Duration of each transaction.", DURATION_BUCKETS)
    commit_waiting: Read = read_gauge("Writes waiting to be committed.")
    hook_calls: Mapping[str, dict[str, int]] = counter(
        "Calls of hooks, by outcome: `ok`, `error`, `timeout` or `dropped`.", "hook", "outcome"
    )
    hook_calls_waiting: Read = read_gauge("Calls of hooks that wait.")

    _by_command: Mapping[str, tuple[dict[str, int], Histogram]] = attrs.field(init=False)
    _of_other: tuple[dict[str, int], Histogram] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._by_command = {
            name: (self.commands[name], self.command_seconds[name])
            for name in (*self._command_names, OTHER)
        }
        self._of_other = self._by_command[OTHER]

    def count_command(self, name: str, outcome: str, seconds: float) -> None:
        """Count a command."""
        outcomes, duration = self._by_command.get(name, self._of_other)
        outcomes[outcome] += 1
        duration.observe(seconds)

    def count_broadcast(self, event: Event, connections: int) -> None:
        """Count an event that was written to a number of connections."""
        self.deliveries += connections
        if type(event) is MessageSent:
            # The machine's clock may have been set back since.
            duration = self._now() - event.message.created_at.timestamp()
            self.delivery_seconds.observe(duration if duration > 0 else 0.0)

    def count_commit(self, writes: int, seconds: float) -> None:
        """Count a transaction of the store."""
        self.commit_writes.observe(writes)
        self.commit_seconds.observe(seconds)
