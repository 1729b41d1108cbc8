"""The inbox compared with a list: every message is handled once, in order, grouped or not."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from socketio_app.adapters.websocket.inbox import MAX_GROUPED, MAX_WAITING, Inbox

Kind = Literal["immediate", "waiting", "grouped", "ungrouped", "pong"]
"""`ungrouped` messages look like `grouped` ones, but cannot begin, as an invalid message."""

KINDS: Sequence[Kind] = ("immediate", "waiting", "grouped", "ungrouped", "pong")


@attrs.frozen
class Received:
    number: int
    kind: Kind


class InboxMachine(RuleBasedStateMachine):
    """Messages that wait, and groups, are done when a rule says so."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.received: list[Received] = []
        self.done: list[Received | Literal["last"]] = []
        self.waiting: asyncio.Future[None] | None = None
        self.group: deque[tuple[Received, Callable[[], None]]] = deque()
        self.is_paused = self.is_held = self.is_finished = False

    @initialize(at_once=st.booleans())
    def create(self, at_once: bool) -> None:
        self.inbox: Inbox[Received] = Inbox(
            self, self, begins_outside_tasks=at_once, size=lambda _: 1, groups=True
        )

    def teardown(self) -> None:
        self.loop.run_until_complete(asyncio.wait_for(self.complete_all(), 60))
        assert self.in_order(self.done) == self.in_order(self.received)
        pongs = [each for each in self.done if each != "last" and each.kind == "pong"]
        assert len(pongs) == sum(each.kind == "pong" for each in self.received)
        self.loop.close()

    def in_order(self, messages: Sequence[Received | Literal["last"]]) -> list[Received]:
        """Return the messages that may not overtake others."""
        return [each for each in messages if each != "last" and each.kind != "pong"]

    def run(self, step: Callable[[], object]) -> None:
        async def run() -> None:
            step()
            for _ in range(5):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    async def complete_all(self) -> None:
        self.inbox.release()
        while len(self.done) < len(self.received) + self.is_finished:
            self.complete_waiting()
            self.complete_group(len(self.group))
            await asyncio.sleep(0)
        await self.inbox.join()

    # Called by the inbox.

    async def receive(self, message: Received) -> None:
        assert not self.group, "began before the group was done"
        if message.kind == "waiting":
            self.waiting = self.loop.create_future()
            await self.waiting
        self.done.append(message)

    def begin_grouped(self, message: Received, on_done: Callable[[], None]) -> bool:
        if message.kind != "grouped":
            return False
        assert self.waiting is None
        self.group.append((message, on_done))
        return True

    def overtakes(self, message: Received) -> bool:
        if message.kind == "pong":
            self.done.append(message)
        return message.kind == "pong"

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    async def last(self) -> None:
        assert not self.group
        self.done.append("last")

    # What happens.

    @precondition(lambda self: not (self.is_paused or self.is_finished))
    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=20))
    def read(self, kinds: list[Kind]) -> None:
        messages = [Received(len(self.received) + at, kind) for at, kind in enumerate(kinds)]
        self.received += messages
        self.run(lambda: self.inbox.receive(messages))

    @rule()
    def complete_waiting_message(self) -> None:
        self.run(self.complete_waiting)

    def complete_waiting(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.set_result(None)

    @rule(count=st.integers(1, MAX_GROUPED))
    def complete_some_of_group(self, count: int) -> None:
        self.run(lambda: self.complete_group(count))

    def complete_group(self, count: int) -> None:
        for _ in range(min(count, len(self.group))):
            message, on_done = self.group.popleft()
            self.done.append(message)
            on_done()

    @rule()
    def hold(self) -> None:
        if not self.is_finished:
            self.run(self.inbox.hold)

    @rule()
    def release(self) -> None:
        self.run(self.inbox.release)

    @precondition(lambda self: not self.is_finished)
    @rule()
    def finish(self) -> None:
        self.is_finished = True
        self.run(lambda: self.inbox.finish(self.last))

    @invariant()
    def messages_are_done_in_order(self) -> None:
        done = self.in_order(self.done)
        assert done == self.in_order(self.received)[: len(done)]

    @invariant()
    def last_is_last(self) -> None:
        if "last" in self.done:
            assert self.done[-1] == "last"
            assert len(self.done) == len(self.received) + 1

    @invariant()
    def group_is_bounded(self) -> None:
        assert len(self.group) <= MAX_GROUPED

    @invariant()
    def reading_pauses_while_too_many_are_unhandled(self) -> None:
        unhandled = len(self.received) - len(self.done)
        if unhandled > MAX_WAITING + 1:
            assert self.is_paused


InboxMachine.TestCase.settings = settings(stateful_step_count=30)
TestInbox = InboxMachine.TestCase
