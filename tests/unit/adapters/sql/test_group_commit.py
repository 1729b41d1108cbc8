"""Writes that wait at the same time share one transaction."""

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.domain.errors import Unavailable

pytestmark = pytest.mark.anyio


@attrs.define
class Disk:
    """Commits batches when the test lets it: twice each number, as the outcome."""

    batches: list[list[int]] = attrs.field(factory=list)
    turning: asyncio.Event = attrs.field(factory=asyncio.Event)
    broken: bool = False

    async def commit(self, writes: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(writes))
        await self.turning.wait()
        if self.broken:
            raise Unavailable("the disk is full")
        return [ValueError("unlucky") if write == 13 else 2 * write for write in writes]


def group_commit(disk: Disk, max_waiting: int = 100) -> GroupCommit[int, int]:
    return GroupCommit(disk.commit, max_waiting=max_waiting, largest_batch=4)


async def submit_all(commits: GroupCommit[int, int], writes: range) -> list[asyncio.Task[int]]:
    """Submit each write by a task of its own, and let them all come to wait."""
    tasks = [asyncio.create_task(commits.submit(write)) for write in writes]
    await asyncio.sleep(0)
    return tasks


async def test_a_lone_write_goes_at_once() -> None:
    disk = Disk()
    disk.turning.set()

    assert await group_commit(disk).submit(7) == 14

    assert disk.batches == [[7]]


async def test_what_waits_while_a_batch_is_committed_goes_together_and_in_order() -> None:
    disk = Disk()
    commits = group_commit(disk)
    first = await submit_all(commits, range(1))
    await asyncio.sleep(0)
    others = await submit_all(commits, range(1, 4))

    disk.turning.set()
    outcomes = await asyncio.gather(*first, *others)

    assert disk.batches == [[0], [1, 2, 3]]
    assert outcomes == [0, 2, 4, 6]


async def test_a_batch_has_its_largest_size() -> None:
    disk = Disk()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(10))

    disk.turning.set()
    await asyncio.gather(*tasks)

    assert [len(batch) for batch in disk.batches] == [4, 4, 2]


async def test_writes_return_in_the_order_of_submission() -> None:
    disk = Disk()
    disk.turning.set()
    commits, returned = group_commit(disk), []

    async def submit(write: int) -> None:
        await commits.submit(write)
        returned.append(write)

    await asyncio.gather(*map(submit, range(10)))

    assert returned == list(range(10))


async def test_a_write_that_fails_fails_alone() -> None:
    disk = Disk()
    disk.turning.set()
    commits = group_commit(disk)

    tasks = await submit_all(commits, range(12, 15))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [int, ValueError, int]


async def test_a_commit_that_fails_fails_its_writes_and_no_later_ones() -> None:
    disk = Disk(broken=True)
    disk.turning.set()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(3))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3

    disk.broken = False

    assert await commits.submit(4) == 8


async def test_over_the_bound_a_write_is_refused_and_those_that_wait_are_not() -> None:
    disk = Disk()
    commits = group_commit(disk, max_waiting=2)
    await submit_all(commits, range(1))
    await asyncio.sleep(0)
    waiting = await submit_all(commits, range(1, 3))

    with pytest.raises(Unavailable):
        await commits.submit(3)

    disk.turning.set()
    assert await asyncio.gather(*waiting) == [2, 4]


async def test_a_caller_that_is_cancelled_spoils_nothing_for_the_others() -> None:
    disk = Disk()
    commits = group_commit(disk)
    cancelled, other = await submit_all(commits, range(1, 3))
    cancelled.cancel()

    disk.turning.set()

    assert await other == 4
    assert disk.batches == [[1, 2]]


async def test_draining_waits_for_all_that_was_accepted() -> None:
    disk = Disk()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(10))
    disk.turning.set()

    await commits.drain()

    assert all(task.done() for task in tasks)


async def submit_background(commits: GroupCommit[int, int], writes: range) -> list[int | Exception]:
    outcomes: list[int | Exception] = []
    for write in writes:
        commits.submit_soon(write, outcomes.append)
    await asyncio.sleep(0)
    return outcomes


def bounded(disk: Disk) -> GroupCommit[int, int]:
    return GroupCommit(disk.commit, max_waiting=100, largest_batch=10, largest_background=2)


async def test_background_write_never_comes_before_one_that_somebody_waits_for() -> None:
    disk = Disk()
    commits = bounded(disk)
    first = await submit_all(commits, range(1))
    await asyncio.sleep(0)
    await submit_background(commits, range(100, 103))
    others = await submit_all(commits, range(1, 4))

    disk.turning.set()
    await asyncio.gather(*first, *others)
    await commits.drain()

    assert disk.batches == [[0], [1, 2, 3, 100, 101], [102]]


async def test_background_writes_of_one_transaction_are_few_however_many_wait() -> None:
    disk = Disk()
    commits = bounded(disk)
    outcomes = await submit_background(commits, range(1, 8))

    disk.turning.set()
    await commits.drain()

    assert [len(batch) for batch in disk.batches] == [2, 2, 2, 1]
    assert outcomes == [2 * write for write in range(1, 8)]


async def test_background_writes_over_the_bound_are_refused_and_others_are_not() -> None:
    disk = Disk()
    commits = group_commit(disk, max_waiting=2)
    await submit_all(commits, range(1))
    await asyncio.sleep(0)
    await submit_background(commits, range(100, 102))

    with pytest.raises(Unavailable):
        commits.submit_soon(102, lambda _outcome: None)

    waiting = await submit_all(commits, range(1, 3))
    disk.turning.set()
    assert await asyncio.gather(*waiting) == [2, 4]
