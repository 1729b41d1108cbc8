"""Tracing of commands, for distributed tracing systems."""

from contextlib import AbstractContextManager
from typing import Protocol

import attrs

from socketio_app.application.commands import Actor


@attrs.define
class Outcome:
    """The outcome of a command."""

    code: str = "ok"
    """`ok`, or the error's code."""


class Tracing(Protocol):
    """Traces commands."""

    def command(self, name: str, actor: Actor) -> AbstractContextManager[Outcome]:
        """Trace a command for the duration of the `with` block, which sets the outcome."""
        ...
