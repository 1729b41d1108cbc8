"""What a command did and how long it took, for whoever follows requests through many services."""

from contextlib import AbstractContextManager
from typing import Protocol

import attrs

from socketio_app.application.commands import Actor


@attrs.define
class Outcome:
    """How a command ended."""

    code: str = "ok"
    """`ok`, or the error's code."""


class Tracing(Protocol):
    """Follows commands."""

    def command(self, name: str, actor: Actor) -> AbstractContextManager[Outcome]:
        """Follow a command from here to the end of the block; its outcome is to be filled in."""
        ...
