"""Writes that wait at the same time share one transaction.

Durability costs one flush of the disk for each transaction, however many writes are in it. So
while one batch is being committed the next one gathers; when the first is done, all that has
gathered goes at once. Nothing waits for a timer: a lone write is a batch of one. The idea is from
"Implementation Techniques for Main Memory Database Systems" (DeWitt et al., 1984).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

from socketio_app.adapters.sql.outage import Outage
from socketio_app.application.cancellation import start_task
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app.store")

Write = TypeVar("Write")
Outcome = TypeVar("Outcome")

Settle = Callable[[Outcome | Exception], None]
"""Takes a write's outcome."""

OnCommit = Callable[[int, float], None]
"""Takes the number of writes in a transaction, and how long it took, in seconds."""


class GroupCommit(Generic[Write, Outcome]):
    """Gathers writes into batches, and commits one batch at a time.

    Args:
        commit: commits a batch; gives each write's outcome, in their order, an exception where that
            write alone has failed. When it raises, nothing of the batch was stored.
        most_waiting: how many writes may wait; further ones are refused.
        largest_batch: how many writes one transaction may have.
        largest_background: how many of them may be writes that nobody waits for; `None`: all. They
            share a transaction with the others and never come before them, so it bounds how much
            longer those take.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Write]], Awaitable[Sequence[Outcome | Exception]]],
        *,
        max_waiting: int,
        largest_batch: int,
        largest_background: int | None = None,
    ) -> None:
        self._commit = commit
        self._most_waiting = max_waiting
        self._largest_batch = largest_batch
        self._largest_background = largest_background or largest_batch
        self._waiting: deque[tuple[Write, Settle[Outcome]]] = deque()
        self._background: deque[tuple[Write, Settle[Outcome]]] = deque()
        self._committing: asyncio.Task[None] | None = None
        self.on_commit: OnCommit | None = None
        """Told of each batch, and how long it took."""
        self._outage = Outage()

    async def submit(self, write: Write) -> Outcome:
        """Commit a write, together with others. Writes take effect, and return, in this order.

        Raises:
            Unavailable: too many are waiting.
            Exception: what `commit` raised, or gave for this write.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Unavailable("the store has too much to do")
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, partial(_settle, outcome)))
        self._begin()
        return await outcome

    def submit_soon(self, write: Write, settle: Settle[Outcome]) -> None:
        """Commit a write that nobody waits for, after those that somebody waits for.

        Args:
            write: what to commit. Such writes take effect in their own order.
            settle: called with what became of it.

        Raises:
            Unavailable: too many are waiting.
        """
        if len(self._background) >= self._most_waiting:
            raise Unavailable("the store has too much to do")
        self._background.append((write, settle))
        self._begin()

    @property
    def waiting(self) -> int:
        """How many writes wait for their transaction."""
        return len(self._waiting) + len(self._background)

    @property
    def is_failing(self) -> bool:
        """Whether the last transaction has failed."""
        return self._outage.is_known

    async def drain(self) -> None:
        """Wait until nothing waits."""
        while self._committing is not None:
            await asyncio.wait([self._committing])

    def _begin(self) -> None:
        if self._committing is None:
            self._committing = start_task(self._commit_what_waits())

    def _next_batch(self) -> list[tuple[Write, Settle[Outcome]]]:
        waiting, background = self._waiting, self._background
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._largest_batch))]
        left = min(self._largest_background, self._largest_batch - len(batch))
        return batch + [background.popleft() for _ in range(min(len(background), left))]

    async def _commit_what_waits(self) -> None:
        try:
            while batch := self._next_batch():
                size = len(batch)
                begin = perf_counter()
                try:
                    outcomes = await self._commit([write for write, _ in batch])
                    self._outage.note(None)
                except Exception as error:  # noqa: BLE001  (it is every waiting caller's to handle)
                    outcomes = [error] * size
                    self._outage.note(error)
                if self.on_commit is not None:
                    self.on_commit(size, perf_counter() - begin)
                for (_, settle), outcome in zip(batch, outcomes, strict=True):
                    try:
                        settle(outcome)
                    except Exception:
                        log.exception("fault after a write was committed")
        finally:
            self._committing = None


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if future.done():
        return  # its caller was cancelled, and waits no more
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
