"""What a store states about itself, so that nothing else needs to know which store it is."""

from collections.abc import Callable
from typing import Protocol

import attrs


class StoreError(Exception):
    """The store cannot be used. The message is one line without secrets, for the operator."""


OnCommit = Callable[[int, float], None]
"""Receives the number of writes in a transaction, and its duration in seconds."""


class StoreTransactions(Protocol):
    """The transactions of a store, for metrics."""

    @property
    def waiting(self) -> int:
        """Number of writes that wait for a transaction."""
        ...

    def watch(self, on_commit: OnCommit) -> None:
        """Call `on_commit` after each transaction, whether it succeeded or failed."""
        ...


@attrs.frozen
class StoreCapabilities:
    """What callers may assume about a store. The defaults suit a database."""

    is_persistent: bool = True
    """Whether data outlives the process. If not, each process has a chat of its own, and a server
    may have only one worker."""
    runs_outside_tasks: bool = False
    """Whether a method may be called outside a task. Drivers that use asyncio's time-outs need a
    task; without one, a command costs less."""
    transactions: StoreTransactions | None = None
    """Its transactions; `None` if it has none or does not count them."""
