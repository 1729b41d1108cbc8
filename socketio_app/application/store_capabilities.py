"""What a store states about itself, so that nothing else needs to know which store it is."""

from collections.abc import Callable
from typing import Protocol

import attrs

from socketio_app.application.outbox import Outbox
from socketio_app.domain.messaging import Draft, Stored


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


OnAppended = Callable[[Stored | Exception], None]
"""Receives the outcome of an append: the stored message, or an error as of `MessageLog.append`."""


class AppendQueue(Protocol):
    """Appends that wait for a transaction, which they share.

    A caller that waits for one append before it begins the next has only one in a transaction.
    """

    @property
    def is_full(self) -> bool:
        """Whether no more appends are accepted for now."""
        ...

    def append_soon(self, draft: Draft, on_appended: OnAppended) -> None:
        """Append a message after those whose append has begun. Requires that `is_full` is false.

        Args:
            draft: the message.
            on_appended: called with the outcome, never before this method returns, and in order
                with the outcomes of earlier and later appends and with the returns of
                `MessageLog.append`.
        """
        ...


Append = Callable[[Draft], Stored]
"""Appends a message as `MessageLog.append` does, without waiting."""


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
    append: Append | None = None
    """Appends a message without waiting; `None` if appends have to wait."""
    append_queue: AppendQueue | None = None
    """Its queue of appends; `None` if appends do not wait for a transaction."""
    outbox: Outbox | None = None
    """Its outbox; `None` if it cannot store messages in transactions of the host application."""
