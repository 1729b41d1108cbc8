"""Waiting calls of hooks: order, bounds, time-outs and shutdown."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from socketio_app.adapters.hooks.call_queue import CallQueue
from socketio_app.adapters.hooks.host_hook import HostHook
from socketio_app.application.hooks import Hooks
from socketio_app.application.metrics import Metrics

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 60


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not met():
            await asyncio.sleep(0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(())


@pytest.fixture
async def closing() -> AsyncIterator[list[CallQueue]]:
    queues: list[CallQueue] = []
    yield queues
    for queue in queues:
        await queue.close()


def outcomes(metrics: Metrics) -> dict[str, int]:
    return dict(metrics.hook_calls["hook"])


async def test_calls_with_the_same_key_are_in_order(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    called: list[int] = []

    async def later_ones_are_faster(argument: int) -> None:
        for _ in range(10 - argument):
            await asyncio.sleep(0)
        called.append(argument)

    for number in range(10):
        queue.put(HostHook("hook", later_ones_are_faster), "key", number)
    await until(lambda: len(called) == 10)

    assert called == list(range(10))


async def test_slow_call_does_not_delay_other_keys(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    called: list[str] = []
    release = asyncio.Event()

    async def first_is_slow(argument: str) -> None:
        if argument == "slow":
            await release.wait()
        called.append(argument)

    queue.put(HostHook("hook", first_is_slow), "one", "slow")
    queue.put(HostHook("hook", first_is_slow), "other", "fast")
    await until(lambda: called)
    release.set()
    await until(lambda: len(called) == 2)

    assert called == ["fast", "slow"]


async def test_number_of_concurrent_calls_is_bounded(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(max_concurrent=2), None)
    closing.append(queue)
    running = most = 0
    ended: list[int] = []

    async def count(argument: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        ended.append(argument)

    for number in range(10):
        queue.put(HostHook("hook", count), number, number)
    await until(lambda: len(ended) == 10)

    assert most == 2


async def test_sync_function_runs_in_a_thread(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    threads: list[threading.Thread] = []

    queue.put(
        HostHook("hook", lambda _: threads.append(threading.current_thread())), "key", "argument"
    )
    await until(lambda: threads)

    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon


async def test_threads_are_reused(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    threads: list[int] = []

    for number in range(20):
        queue.put(HostHook("hook", lambda _: threads.append(threading.get_ident())), "key", number)
    await until(lambda: len(threads) == 20)

    assert len(set(threads)) == 1


class AsyncObject:
    def __init__(self) -> None:
        self.called_in: list[threading.Thread] = []

    async def __call__(self, _argument: object) -> None:
        self.called_in.append(threading.current_thread())


@pytest.mark.parametrize("wrap", [lambda hook: hook, functools.partial])
async def test_object_with_async_call_runs_in_the_loop(
    closing: list[CallQueue], wrap: Callable[[AsyncObject], Callable[[object], object]]
) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    hook = AsyncObject()

    queue.put(HostHook("hook", wrap(hook)), "key", "argument")
    await until(lambda: hook.called_in)

    assert hook.called_in == [threading.main_thread()]


async def test_coroutine_of_a_sync_function_is_awaited(closing: list[CallQueue]) -> None:
    queue = CallQueue(Hooks(), None)
    closing.append(queue)
    hook = AsyncObject()

    queue.put(HostHook("hook", lambda argument: hook(argument)), "key", "argument")
    await until(lambda: hook.called_in)

    assert hook.called_in == [threading.main_thread()]


def fail(argument: str) -> None:
    raise ValueError(argument)


async def fail_async(argument: str) -> None:
    raise ValueError(argument)


def exit_thread(argument: str) -> None:
    raise SystemExit(argument)


async def cancel(_argument: str) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (fail, "ValueError"),
        (fail_async, "ValueError"),
        (exit_thread, "RuntimeError"),
        (cancel, "CancelledError"),
    ],
)
async def test_failure_is_logged_with_hook_and_place_but_without_text(
    closing: list[CallQueue],
    caplog: pytest.LogCaptureFixture,
    metrics: Metrics,
    hook: Callable[[str], object],
    error: str,
) -> None:
    queue = CallQueue(Hooks(), metrics)
    closing.append(queue)

    queue.put(HostHook("hook", hook), "key", "secret content")
    queue.put(HostHook("hook", AsyncObject()), "key", "argument")
    await until(lambda: outcomes(metrics).get("ok"))

    assert outcomes(metrics) == {"error": 1, "ok": 1}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages[0].startswith(f"hook failed (hook: hook, reason: {error}")
    assert "secret content" not in caplog.text
    assert __file__ in caplog.text or error == "CancelledError"


async def test_many_failures_are_counted_but_not_all_logged(
    closing: list[CallQueue], caplog: pytest.LogCaptureFixture, metrics: Metrics
) -> None:
    queue = CallQueue(Hooks(), metrics)
    closing.append(queue)

    for number in range(500):
        queue.put(HostHook("hook", fail_async), number, "argument")
    await until(lambda: outcomes(metrics).get("error") == 500)

    assert 60 <= len(caplog.records) < 100


async def test_async_call_that_times_out_is_cancelled(
    closing: list[CallQueue], caplog: pytest.LogCaptureFixture, metrics: Metrics
) -> None:
    queue = CallQueue(Hooks(timeout_seconds=0.01, max_concurrent=1), metrics)
    closing.append(queue)
    following = AsyncObject()

    async def hang(_argument: object) -> None:
        await asyncio.Event().wait()

    queue.put(HostHook("hook", hang), "key", "argument")
    queue.put(HostHook("hook", following), "key", "argument")
    await until(lambda: outcomes(metrics).get("ok"))

    assert outcomes(metrics) == {"timeout": 1, "ok": 1}
    assert caplog.messages == ["hook failed (hook: hook, reason: timed out)"]


async def test_thread_that_times_out_remains_one_of_the_concurrent_calls(
    closing: list[CallQueue], metrics: Metrics
) -> None:
    queue = CallQueue(Hooks(timeout_seconds=0.01, max_concurrent=1), metrics)
    closing.append(queue)
    release = threading.Event()
    following = AsyncObject()

    queue.put(HostHook("hook", lambda _: release.wait()), "key", "argument")
    queue.put(HostHook("hook", following), "other key", "argument")
    await until(lambda: outcomes(metrics).get("timeout"))

    assert not following.called_in
    release.set()
    await until(lambda: following.called_in)


async def test_calls_beyond_the_bound_are_dropped_counted_and_logged_once(
    closing: list[CallQueue], caplog: pytest.LogCaptureFixture, metrics: Metrics
) -> None:
    queue = CallQueue(Hooks(max_waiting=2, max_concurrent=1), metrics)
    closing.append(queue)
    release = asyncio.Event()
    called: list[int] = []

    async def wait(argument: int) -> None:
        await release.wait()
        called.append(argument)

    for number in range(6):
        queue.put(HostHook("hook", wait), "key", number)
    assert queue.waiting == 2
    release.set()
    await until(lambda: outcomes(metrics).get("ok") == 3)

    assert called == [0, 1, 2]
    assert outcomes(metrics) == {"dropped": 3, "ok": 3}
    assert caplog.messages == [
        "hook calls are dropped (hook: hook, reason: too many calls are waiting)",
        "hook calls are no longer dropped (calls: 3)",
    ]


async def test_waiting_calls_are_finished_at_shutdown(metrics: Metrics) -> None:
    queue = CallQueue(Hooks(max_concurrent=1), metrics)
    called: list[int] = []

    for number in range(10):
        queue.put(HostHook("hook", called.append), "key", number)
    await queue.close()

    assert called == list(range(10))


async def test_shutdown_drops_what_takes_too_long(
    caplog: pytest.LogCaptureFixture, metrics: Metrics
) -> None:
    queue = CallQueue(Hooks(max_concurrent=1, shutdown_seconds=0.01), metrics)
    release = threading.Event()

    async def hang(_argument: object) -> None:
        await asyncio.Event().wait()

    queue.put(HostHook("hook", hang), "key", 1)
    queue.put(HostHook("hook", lambda _: release.wait()), "key", 2)
    queue.put(HostHook("hook", lambda _: release.wait()), "other key", 3)
    await queue.close()

    assert outcomes(metrics)["dropped"] == 2
    assert "hook calls were dropped at shutdown (calls: 2)" in caplog.messages


async def test_shutdown_does_not_wait_for_a_thread_that_hangs() -> None:
    queue = CallQueue(Hooks(shutdown_seconds=0.01), None)
    release = threading.Event()

    queue.put(HostHook("hook", lambda _: release.wait()), "key", "argument")
    await queue.close()

    release.set()


async def test_queue_can_be_opened_again(closing: list[CallQueue], metrics: Metrics) -> None:
    queue = CallQueue(Hooks(), metrics)
    closing.append(queue)
    called: list[int] = []

    await queue.close()
    queue.put(HostHook("hook", called.append), "key", 1)
    queue.open()
    queue.put(HostHook("hook", called.append), "key", 2)
    await until(lambda: called)

    assert called == [2]
    assert outcomes(metrics)["dropped"] == 1
