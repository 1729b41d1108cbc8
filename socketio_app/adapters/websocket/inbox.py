"""Handles the messages of a connection: in order, in small batches, and with back pressure.

A message that can be handled without waiting is handled immediately, without a task. With a store
in this process, that is nearly every message.

Consecutive messages that only have to be stored form a group: each may begin before the earlier
ones are stored, so that they share a transaction. They take no task either. Any other message waits
until the group is done.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import attrs

from socketio_app.adapters.websocket.handling import InTask, Work, complete, log_error, start
from socketio_app.adapters.websocket.turn import Turn
from socketio_app.application.cancellation import start_task

MAX_WAITING, RESUME_WAITING = 64, 32
"""High- and low-water marks of unhandled messages per connection."""

MAX_WAITING_BYTES = 262_144
"""High-water mark of unhandled messages per connection, in bytes."""

MAX_GROUPED = 16
"""Maximum number of messages in a group."""

Message = TypeVar("Message")
Handled = TypeVar("Handled", contravariant=True)


class MessageHandler(Protocol[Handled]):
    """Handler of one connection's messages."""

    def receive(self, message: Handled, /) -> Work | None:
        """Handle a message; return a coroutine for what is left to do, if anything."""
        ...

    def overtakes(self, message: Handled, /) -> bool:
        """Handle a message that need not wait for earlier ones; return whether it is one."""
        ...

    def begin_grouped(self, message: Handled, on_done: Callable[[], None], /) -> bool:
        """Begin a message that may begin before the earlier ones of its group are done.

        Args:
            message: a message after others that this method has begun, or after none.
            on_done: called once the message is done, in a later turn of the loop.

        Returns:
            Whether it has begun. If not, `receive` handles it once the group is done.
        """
        ...


class Source(Protocol):
    """What messages are read from."""

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        ...

    def resume_reading(self) -> None:
        """Read from the client again."""
        ...


class Inbox(Generic[Message]):
    """Queue of one connection's unhandled messages.

    Args:
        handler: handles the messages. Its errors are logged.
        source: where the messages come from.
        begins_outside_tasks: whether the coroutines of `MessageHandler.receive` may begin outside a
            task. They may if no code involved asks for the current task, as time-outs do.
        size: returns the size of a message in bytes.
        groups: whether messages are grouped.
    """

    __slots__ = (
        "_all_done",
        "_begins_outside_tasks",
        "_grouped",
        "_grouped_bytes",
        "_groups",
        "_handler",
        "_is_held",
        "_is_paused",
        "_last",
        "_released",
        "_size",
        "_source",
        "_stays_paused",
        "_task",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(
        self,
        handler: MessageHandler[Message],
        source: Source,
        *,
        begins_outside_tasks: bool,
        size: Callable[[Message], int],
        groups: bool = False,
    ) -> None:
        self._handler = handler
        self._source = source
        self._begins_outside_tasks = begins_outside_tasks
        self._size = size
        self._groups = groups
        self._grouped = 0
        """Number of messages of the current group that are not done."""
        self._grouped_bytes = 0
        self._all_done: asyncio.Event | None = None
        # Short and mostly empty: an empty list takes a twelfth of the memory of an empty deque.
        self._waiting: list[Message] = []
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._is_paused = self._stays_paused = False
        self._is_held = False
        self._released: asyncio.Event | None = None
        self._last: Callable[[], Work] | None = None

    def receive(self, messages: Sequence[Message]) -> None:
        """Handle messages after earlier ones."""
        if self._task is None and not self._is_held and not self._waiting:
            begun = self._begin_outside_task(messages)
            if begun == len(messages):
                return
            messages = messages[begun:]
        if self._is_held:
            messages = self._without_overtaking(messages)
        if messages:
            self._enqueue(messages)

    def _without_overtaking(self, messages: Sequence[Message]) -> list[Message]:
        """Handle the messages that may overtake earlier ones; return the rest."""
        return [each for each in messages if not self._handler.overtakes(each)]

    def _begin_outside_task(self, messages: Sequence[Message]) -> int:
        """Begin handling messages until one waits or the turn is over; return how many began."""
        turn = Turn() if len(messages) > 1 else None
        for begun, message in enumerate(messages):
            if self._is_held:
                return begun
            if not (self._groups and self._joins_group(message)):
                if self._grouped:
                    if not self._handler.overtakes(message):
                        return begun
                elif not self._begin(message):
                    return begun + 1
            if turn and turn.is_over():
                return begun + 1
        return len(messages)

    def _joins_group(self, message: Message) -> bool:
        """Begin a message as part of the current group; return whether it has begun."""
        if self._grouped >= MAX_GROUPED or self._grouped_bytes > MAX_WAITING_BYTES:
            return False
        size = self._size(message)
        try:
            if not self._handler.begin_grouped(message, partial(self._note_done, size)):
                return False
        except Exception as error:  # noqa: BLE001  (it is logged)
            log_error(error)
            return True
        self._grouped += 1
        self._grouped_bytes += size
        return True

    def _note_done(self, size: int) -> None:
        """Continue with other messages once the group is done."""
        self._grouped -= 1
        self._grouped_bytes -= size
        if self._grouped:
            return
        if self._all_done is not None:
            self._all_done.set()
            self._all_done = None
        if self._task is None and (self._waiting or self._last is not None):
            self._task = start_task(self._run(None))

    def _enqueue(self, messages: Sequence[Message]) -> None:
        self._waiting.extend(messages)
        self._waiting_bytes += sum(map(self._size, messages))
        if self._task is None and not self._grouped:
            self._task = start_task(self._run(None))
        if self._is_over_high_water and not self._is_paused:
            self._is_paused = True
            self._source.pause_reading()

    @property
    def _is_over_high_water(self) -> bool:
        waiting_bytes = self._waiting_bytes + self._grouped_bytes
        return len(self._waiting) + self._grouped > MAX_WAITING or waiting_bytes > MAX_WAITING_BYTES

    @property
    def _is_under_low_water(self) -> bool:
        return len(self._waiting) < RESUME_WAITING and self._waiting_bytes < MAX_WAITING_BYTES

    def hold(self) -> None:
        """Stop handling messages until `release`: the client does not read the replies."""
        self._is_held = True
        if self._waiting:
            # Deferred: the caller may be in the middle of a broadcast.
            asyncio.get_running_loop().call_soon(self._handle_overtaking)

    def _handle_overtaking(self) -> None:
        if self._is_held:
            self._waiting = self._without_overtaking(self._waiting)
            self._waiting_bytes = sum(map(self._size, self._waiting))
            self._resume_if_few()

    def _resume_if_few(self) -> None:
        if self._is_paused and self._is_under_low_water and not self._stays_paused:
            self._is_paused = False
            self._source.resume_reading()

    def release(self) -> None:
        """Handle messages again after `hold`."""
        self._is_held = False
        if self._released is not None:
            self._released.set()
            self._released = None

    def finish(self, last: Callable[[], Work]) -> None:
        """Run `last` after every received message is handled, as the connection's last work."""
        self._last = last
        self.release()
        if self._task is None and not self._grouped:
            self._task = start_task(self._run(None))

    def stop_reading(self) -> None:
        """Pause reading permanently, even when the queue becomes short."""
        self._stays_paused = True
        self._source.pause_reading()

    async def join(self) -> None:
        """Wait until every received message is handled."""
        while self._task is not None or self._grouped:
            if self._task is not None:
                await asyncio.wait([self._task])
            else:
                self._all_done = self._all_done or asyncio.Event()
                await self._all_done.wait()

    def _begin(self, message: Message) -> bool:
        """Begin handling a message, in a task once it needs one; return whether it is handled."""
        try:
            work = self._handler.receive(message)
            if work is None:
                return True
            if isinstance(work, InTask) or not self._begins_outside_tasks:
                self._task = start_task(self._run(work))
                return False
            awaited = work.send(None)
        except StopIteration:
            return True
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (it is logged)
            log_error(error)
            return True
        self._task = start_task(self._run(_StartedWork(work, awaited)))
        return False

    async def _run(self, begun: "Work | _StartedWork | None") -> None:
        try:
            if begun is not None:
                await complete(begun)
            turn = Turn()
            while self._waiting:
                if self._is_held:
                    self._released = self._released or asyncio.Event()
                    await self._released.wait()
                    continue  # meanwhile, every queued message may have overtaken
                message = self._waiting[0]
                has_begun = self._groups and self._joins_group(message)
                if self._grouped and not has_begun:
                    return  # `_note_done` starts another task
                del self._waiting[0]
                self._waiting_bytes -= self._size(message)
                if not has_begun:
                    work = start(self._handler.receive, message)
                    if work is not None:
                        await complete(work)
                self._resume_if_few()
                if turn.is_over():
                    await asyncio.sleep(0)
                    turn = Turn()
        finally:
            self._task = None
            if self._last is not None and not self._grouped:
                last, self._last = self._last, None
                await last()


@attrs.define
class _StartedWork:
    """A coroutine that began outside a task and now waits; awaiting it continues it in a task."""

    work: Coroutine[Any, Any, object]
    awaited: Any

    def __await__(self) -> Generator[Any, Any, None]:
        awaited = self.awaited
        while True:
            raised: BaseException | None = None
            result = None
            try:
                result = yield awaited
            except BaseException as error:  # noqa: BLE001  (passed on to the coroutine)
                raised = error
            try:
                awaited = self.work.send(result) if raised is None else self.work.throw(raised)
            except StopIteration:
                return
