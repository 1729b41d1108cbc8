"""Group commit: concurrent writes share one transaction.

Durability costs one disk flush per transaction, however many writes are in it. While one batch is
being committed, new writes gather in the next one, which is committed as soon as the first is done.
There is no timer: a lone write is a batch of one. The idea is from "Implementation Techniques for
Main Memory Database Systems" (DeWitt et al., 1984).
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
from socketio_app.application.futures import set_exception, set_result
from socketio_app.application.store_capabilities import OnCommit, StoreTransactions
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app.store")

Write = TypeVar("Write")
Outcome = TypeVar("Outcome")

Settle = Callable[[Outcome | Exception], object]
"""Callback for the outcome of a write."""


class GroupCommit(Generic[Write, Outcome]):
    """Gathers writes into batches, and commits one batch at a time.

    Args:
        commit: commits a batch and returns the outcome of each write, in order: an exception if
            only that write failed. If `commit` raises, nothing of the batch was stored.
        max_waiting: maximum number of waiting writes; further ones are rejected.
        max_batch_writes: maximum number of writes in a transaction.
        max_background_writes: maximum number of background writes in a transaction; `None` for no
            separate limit. They follow the other writes of the transaction, so this bounds how much
            they delay those.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Write]], Awaitable[Sequence[Outcome | Exception]]],
        *,
        max_waiting: int,
        max_batch_writes: int,
        max_background_writes: int | None = None,
    ) -> None:
        self._commit = commit
        self._max_waiting = max_waiting
        self._max_batch_writes = max_batch_writes
        self._max_background_writes = max_background_writes or max_batch_writes
        self._waiting: deque[tuple[Write, Settle[Outcome]]] = deque()
        self._background: deque[tuple[Write, Settle[Outcome]]] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._on_commit: OnCommit | None = None
        self._outage = Outage()

    async def submit(self, write: Write) -> Outcome:
        """Commit a write together with others.

        Writes take effect, and return, in the order of submission.

        Raises:
            Unavailable: too many writes are waiting.
            Exception: `commit` failed, or returned an exception for this write.
        """
        if self.is_full:
            raise Unavailable("the store is overloaded")
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, partial(_settle, outcome)))
        self._start()
        return await outcome

    @property
    def is_full(self) -> bool:
        """Whether `submit` rejects writes, because too many are waiting."""
        return len(self._waiting) >= self._max_waiting

    def submit_soon(self, write: Write, settle: Settle[Outcome]) -> None:
        """Commit a write as `submit` does, without a future: callers check `is_full` themselves.

        Args:
            write: the write.
            settle: called with the outcome, in order with the returns of `submit`.
        """
        # Deferred, because callers of `submit` also return in a later turn of the loop.
        call_soon = asyncio.get_running_loop().call_soon
        later: Settle[Outcome] = partial(call_soon, settle)  # type: ignore[arg-type]
        self._waiting.append((write, later))
        self._start()

    def submit_in_background(self, write: Write, settle: Settle[Outcome]) -> None:
        """Commit a write in the background, after the writes that a caller waits for.

        Args:
            write: the write. Background writes take effect in the order of submission.
            settle: called with the outcome.

        Raises:
            Unavailable: too many background writes are waiting.
        """
        if len(self._background) >= self._max_waiting:
            raise Unavailable("the store is overloaded")
        self._background.append((write, settle))
        self._start()

    @property
    def waiting(self) -> int:
        """See `StoreTransactions.waiting`."""
        return len(self._waiting) + len(self._background)

    def watch(self, on_commit: OnCommit) -> None:
        """See `StoreTransactions.watch`."""
        self._on_commit = on_commit

    @property
    def is_failing(self) -> bool:
        """Whether the last transaction failed."""
        return self._outage.is_known

    async def drain(self) -> None:
        """Wait until all submitted writes are committed."""
        while self._committing is not None:
            await asyncio.wait([self._committing])

    def _start(self) -> None:
        if self._committing is None:
            self._committing = start_task(self._commit_batches())

    def _next_batch(self) -> list[tuple[Write, Settle[Outcome]]]:
        waiting, background = self._waiting, self._background
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._max_batch_writes))]
        room = min(self._max_background_writes, self._max_batch_writes - len(batch))
        return batch + [background.popleft() for _ in range(min(len(background), room))]

    async def _commit_batches(self) -> None:
        try:
            while batch := self._next_batch():
                size = len(batch)
                start = perf_counter()
                try:
                    outcomes = await self._commit([write for write, _ in batch])
                    self._outage.note(None)
                except Exception as error:  # noqa: BLE001  (passed to every waiting caller)
                    outcomes = [error] * size
                    self._outage.note(error)
                if self._on_commit is not None:
                    self._on_commit(size, perf_counter() - start)
                for (_, settle), outcome in zip(batch, outcomes, strict=True):
                    try:
                        settle(outcome)
                    except Exception:
                        log.exception("unexpected error after a commit")
        finally:
            self._committing = None


class AllTransactions:
    """Implements `StoreTransactions` for a store that has several kinds of them."""

    def __init__(self, *kinds: StoreTransactions) -> None:
        self._kinds = kinds

    @property
    def waiting(self) -> int:
        """See `StoreTransactions.waiting`."""
        return sum(each.waiting for each in self._kinds)

    def watch(self, on_commit: OnCommit) -> None:
        """See `StoreTransactions.watch`."""
        for each in self._kinds:
            each.watch(on_commit)


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if isinstance(outcome, Exception):
        set_exception(future, outcome)
    else:
        set_result(future, outcome)
