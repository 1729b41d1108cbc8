"""Runs what comes over a connection: in order, a little at a time, and with a bound.

What can be done at once is done at once, without a task: on a store in this process that is nearly
everything.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

import attrs

from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import start_task

MAX_WAITING, RESUME_WAITING = 64, 32
"""From how many messages on a connection is read no more, and when it is again."""

MAX_WAITING_BYTES = 262_144
"""From how many bytes of messages on a connection is read no more."""

Message = TypeVar("Message")
Work = Coroutine[Any, Any, None]


class Inbox(Generic[Message]):
    """The messages of one connection that are not handled yet.

    Args:
        handle: handles a message. It raises nothing, but for being cancelled.
        at_once: whether handling a message may begin outside a task. It may where nothing on the
            way asks which task it is in, as timeouts and a host application's code do.
        size: the size of a message in bytes.
        overtakes: handles a message that need not wait for those before it, while the inbox is
            held; whether it was one.
        pause, resume: stop the client's messages from coming, and let them come again.
    """

    def __init__(
        self,
        handle: Callable[[Message], Work],
        *,
        at_once: Callable[[Message], bool],
        size: Callable[[Message], int],
        overtakes: Callable[[Message], bool],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._handle = handle
        self._at_once = at_once
        self._size = size
        self._overtakes = overtakes
        self._pause = pause
        self._resume = resume
        # Few wait, and mostly none: an empty list is a twelfth of an empty deque.
        self._waiting: list[Message] = []
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._is_paused = False
        self._is_held = False
        self._released: asyncio.Event | None = None
        self._last: Callable[[], Work] | None = None

    def take(self, messages: Sequence[Message]) -> None:
        """Handle messages after those before them."""
        if self._task is None and not self._is_held:
            begun = self._begin_some(messages)
            if begun == len(messages):
                return
            messages = messages[begun:]
        if self._is_held:
            messages = self._without_overtaking(messages)
        if messages:
            self._wait_with(messages)

    def _without_overtaking(self, messages: Sequence[Message]) -> list[Message]:
        """Handle the messages that need not wait; return the others."""
        return [each for each in messages if not self._overtakes(each)]

    def _begin_some(self, messages: Sequence[Message]) -> int:
        """Begin with messages until one of them waits or the turn is over; return how many."""
        turn = Turn() if len(messages) > 1 else None
        for begun, message in enumerate(messages):
            if self._is_held or not self._at_once(message):
                return begun
            if not self._begin(self._handle(message)) or (turn and turn.is_over()):
                return begun + 1
        return len(messages)

    def _wait_with(self, messages: Sequence[Message]) -> None:
        self._waiting.extend(messages)
        self._waiting_bytes += sum(map(self._size, messages))
        if self._task is None:
            self._task = start_task(self._work_off(None))
        if self._has_many and not self._is_paused:
            self._is_paused = True
            self._pause()

    @property
    def _has_many(self) -> bool:
        return len(self._waiting) > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES

    @property
    def _has_few(self) -> bool:
        return len(self._waiting) < RESUME_WAITING and self._waiting_bytes < MAX_WAITING_BYTES

    def hold(self) -> None:
        """Begin with no more messages for now: the client does not read what they give."""
        self._is_held = True
        if self._waiting:
            # Not now: it may be in the middle of a broadcast.
            asyncio.get_running_loop().call_soon(self._let_overtake)

    def _let_overtake(self) -> None:
        if self._is_held:
            self._waiting = self._without_overtaking(self._waiting)
            self._waiting_bytes = sum(map(self._size, self._waiting))
            self._resume_if_few()

    def _resume_if_few(self) -> None:
        if self._is_paused and self._has_few:
            self._is_paused = False
            self._resume()

    def release(self) -> None:
        """Go on with them."""
        self._is_held = False
        if self._released is not None:
            self._released.set()
            self._released = None

    def finish(self, last: Callable[[], Work]) -> None:
        """Do something after all that has come, the last thing for this connection."""
        self._last = last
        self.release()
        if self._task is None:
            self._task = start_task(self._work_off(None))

    def stop_reading(self) -> None:
        """Pause reading for good: handling what waits does not resume it."""
        self._resume = _stay_paused
        self._pause()

    async def settled(self) -> None:
        """Wait until all that has come is handled."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _begin(self, work: Work) -> bool:
        """Begin some work; whether it is done already. What has to wait goes on in a task."""
        try:
            awaited = work.send(None)
        except StopIteration:
            return True
        self._task = start_task(self._work_off(_Begun(work, awaited)))
        return False

    async def _work_off(self, begun: "_Begun | None") -> None:
        try:
            if begun is not None:
                await begun
            turn = Turn()
            while self._waiting:
                if self._is_held:
                    self._released = self._released or asyncio.Event()
                    await self._released.wait()
                    continue  # all that waited may have overtaken meanwhile
                message = self._waiting.pop(0)
                self._waiting_bytes -= self._size(message)
                await self._handle(message)
                self._resume_if_few()
                if turn.is_over():
                    await asyncio.sleep(0)
                    turn = Turn()
        finally:
            self._task = None
            last, self._last = self._last, None
            if last is not None:
                await last()


def _stay_paused() -> None:
    pass


@attrs.define
class _Begun:
    """A coroutine that was begun outside a task and now waits: a task can go on with it."""

    work: Work
    awaited: Any

    def __await__(self) -> Generator[Any, Any, None]:
        awaited = self.awaited
        while True:
            raised: BaseException | None = None
            result = None
            try:
                result = yield awaited
            except BaseException as error:  # noqa: BLE001  (whatever it is, it is the coroutine's)
                raised = error
            try:
                awaited = self.work.send(result) if raised is None else self.work.throw(raised)
            except StopIteration:
                return
