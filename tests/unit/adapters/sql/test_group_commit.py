"""Group commit: concurrent writes share one transaction."""

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.domain.errors import Unavailable

pytestmark = pytest.mark.anyio


@attrs.define
class Disk:
    """Commits batches once the test sets `may_commit`; the outcome is twice the number."""

    batches: list[list[int]] = attrs.field(factory=list)
    may_commit: asyncio.Event = attrs.field(factory=asyncio.Event)
    is_broken: bool = False

    async def commit(self, writes: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(writes))
        await self.may_commit.wait()
        if self.is_broken:
            raise Unavailable("the disk is full")
        return [ValueError("unlucky") if write == 13 else 2 * write for write in writes]


def group_commit(disk: Disk, max_waiting: int = 100) -> GroupCommit[int, int]:
    return GroupCommit(disk.commit, max_waiting=max_waiting, max_batch_writes=4)


async def submit_all(commits: GroupCommit[int, int], writes: range) -> list[asyncio.Task[int]]:
    """Submit each write in a task of its own, and wait until all are submitted."""
    tasks = [asyncio.create_task(commits.submit(write)) for write in writes]
    await asyncio.sleep(0)
    return tasks


async def test_lone_write_is_committed_immediately() -> None:
    disk = Disk()
    disk.may_commit.set()

    assert await group_commit(disk).submit(7) == 14

    assert disk.batches == [[7]]


async def test_writes_that_wait_for_a_commit_form_the_next_batch_in_order() -> None:
    disk = Disk()
    commits = group_commit(disk)
    first = await submit_all(commits, range(1))
    await asyncio.sleep(0)
    others = await submit_all(commits, range(1, 4))

    disk.may_commit.set()
    outcomes = await asyncio.gather(*first, *others)

    assert disk.batches == [[0], [1, 2, 3]]
    assert outcomes == [0, 2, 4, 6]


async def test_batch_size_is_limited() -> None:
    disk = Disk()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(10))

    disk.may_commit.set()
    await asyncio.gather(*tasks)

    assert [len(batch) for batch in disk.batches] == [4, 4, 2]


async def test_writes_return_in_the_order_of_submission() -> None:
    disk = Disk()
    disk.may_commit.set()
    commits, returned = group_commit(disk), []

    async def submit(write: int) -> None:
        await commits.submit(write)
        returned.append(write)

    await asyncio.gather(*map(submit, range(10)))

    assert returned == list(range(10))


async def test_failed_write_does_not_affect_others() -> None:
    disk = Disk()
    disk.may_commit.set()
    commits = group_commit(disk)

    tasks = await submit_all(commits, range(12, 15))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [int, ValueError, int]


async def test_failed_commit_fails_its_writes_only() -> None:
    disk = Disk(is_broken=True)
    disk.may_commit.set()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(3))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3

    disk.is_broken = False

    assert await commits.submit(4) == 8


async def test_write_over_the_limit_is_rejected_and_waiting_ones_are_not() -> None:
    disk = Disk()
    commits = group_commit(disk, max_waiting=2)
    await submit_all(commits, range(1))
    await asyncio.sleep(0)
    waiting = await submit_all(commits, range(1, 3))

    with pytest.raises(Unavailable):
        await commits.submit(3)

    disk.may_commit.set()
    assert await asyncio.gather(*waiting) == [2, 4]


async def test_cancelled_caller_does_not_affect_others() -> None:
    disk = Disk()
    commits = group_commit(disk)
    cancelled, other = await submit_all(commits, range(1, 3))
    cancelled.cancel()

    disk.may_commit.set()

    assert await other == 4
    assert disk.batches == [[1, 2]]


async def test_drain_waits_for_all_submitted_writes() -> None:
    disk = Disk()
    commits = group_commit(disk)
    tasks = await submit_all(commits, range(10))
    disk.may_commit.set()

    await commits.drain()

    assert all(task.done() for task in tasks)


async def submit_background(commits: GroupCommit[int, int], writes: range) -> list[int | Exception]:
    outcomes: list[int | Exception] = []
    for write in writes:
        commits.submit_in_background(write, outcomes.append)
    await asyncio.sleep(0)
    return outcomes


def with_background_limit(disk: Disk) -> GroupCommit[int, int]:
    return GroupCommit(disk.commit, max_waiting=100, max_batch_writes=10, max_background_writes=2)


async def test_background_writes_follow_the_writes_that_a_caller_waits_for() -> None:
    disk = Disk()
    commits = with_background_limit(disk)
    first = await submit_all(commits, range(1))
    await asyncio.sleep(0)
    await submit_background(commits, range(100, 103))
    others = await submit_all(commits, range(1, 4))

    disk.may_commit.set()
    await asyncio.gather(*first, *others)
    await commits.drain()

    assert disk.batches == [[0], [1, 2, 3, 100, 101], [102]]


async def test_number_of_background_writes_in_a_transaction_is_limited() -> None:
    disk = Disk()
    commits = with_background_limit(disk)
    outcomes = await submit_background(commits, range(1, 8))

    disk.may_commit.set()
    await commits.drain()

    assert [len(batch) for batch in disk.batches] == [2, 2, 2, 1]
    assert outcomes == [2 * write for write in range(1, 8)]


async def test_background_write_over_the_limit_is_rejected_and_others_are_not() -> None:
    disk = Disk()
    commits = group_commit(disk, max_waiting=2)
    await submit_all(commits, range(1))
    await asyncio.sleep(0)
    await submit_background(commits, range(100, 102))

    with pytest.raises(Unavailable):
        commits.submit_in_background(102, lambda _outcome: None)

    waiting = await submit_all(commits, range(1, 3))
    disk.may_commit.set()
    assert await asyncio.gather(*waiting) == [2, 4]


async def test_callbacks_and_returns_come_in_the_order_of_submission() -> None:
    disk = Disk()
    commits = group_commit(disk)
    outcomes: list[int | Exception] = []

    async def submit(write: int) -> None:
        outcomes.append(await commits.submit(write))

    tasks = []
    for write in (1, 2, 3, 4):
        if write % 2:
            tasks.append(asyncio.create_task(submit(write)))
            await asyncio.sleep(0)
        else:
            commits.submit_soon(write, outcomes.append)
    disk.may_commit.set()
    await asyncio.gather(*tasks)
    await commits.drain()
    await asyncio.sleep(0)

    assert outcomes == [2, 4, 6, 8]


async def test_callback_gets_the_error_of_its_own_write() -> None:
    disk = Disk()
    disk.may_commit.set()
    commits = group_commit(disk)
    outcomes: list[int | Exception] = []

    for write in (12, 13, 14):
        commits.submit_soon(write, outcomes.append)
    assert outcomes == []
    await commits.drain()
    await asyncio.sleep(0)

    assert [each if isinstance(each, int) else type(each) for each in outcomes] == [
        24,
        ValueError,
        28,
    ]


async def test_is_full_as_soon_as_submit_would_reject() -> None:
    commits = group_commit(Disk(), max_waiting=2)

    states = []
    for write in range(2):
        states.append(commits.is_full)
        commits.submit_soon(write, lambda _outcome: None)

    assert states == [False, False]
    assert commits.is_full
    with pytest.raises(Unavailable):
        await commits.submit(3)
