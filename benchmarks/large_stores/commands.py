"""Each command, timed on a store by itself: through the use cases, without a transport."""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import attrs

from benchmarks.large_stores.filling import ADA, Size
from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.system import SystemClock, new_message_id
from socketio_app.application.chat import Chat
from socketio_app.application.commands import (
    Actor,
    CatchUp,
    Command,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    SendMessage,
)
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity, Store
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId

NEWS = 20
"""In how many conversations there is a new message for the catch-up that has news."""

JOINER, SHUTTING_DOWN_RESPONSE = UserId("joiner"), Room(RoomId("elsewhere"))


@attrs.frozen
class Figures:
    """Medians of one command's runs."""

    ms: float
    """Time from asking to the answer."""
    cpu_ms: float
    """CPU of this process, its threads included; the database server's is not."""


Run = Callable[[], Awaitable[object]]


@attrs.define
class Bench:
    """The commands of a user on one store."""

    store: Store
    size: Size
    runs: int
    _numbers: "count[int]" = attrs.field(factory=lambda: count(1), init=False)
    _chat: Chat = attrs.field(init=False)
    _since: CatchUpCursor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = SystemClock()
        verifier = CustomVerifier(lambda _token: None, clock)
        limits = Limits(rates={}, max_rooms_per_user=self.size.rooms + 10)
        hub = Hub(SOCKETIO_ENCODING)
        self._chat = Chat(self.store, hub, verifier, clock, new_message_id, limits)
        self._chat.open()
        self._since = CatchUpCursor.at(self.store.epoch, 0)

    async def delivered(self) -> Mapping[str, Figures]:
        """Measure with nothing waiting for Ada."""
        newest_page = FetchHistory(self._pair())
        return {
            "connect, nothing waiting": await self._measure(self._connect),
            "fetch_history, newest page": await self._measure(lambda: self._do(newest_page)),
            "list_conversations, 50": await self._measure(
                lambda: self._do(ListConversations(limit=50))
            ),
            "list_conversations, 200": await self._measure(
                lambda: self._do(ListConversations(limit=200))
            ),
            "catch_up, nothing new": await self._measure(self._catch_up, self._caught_up),
            f"catch_up, {NEWS} new messages": await self._measure(self._catch_up, self._news),
            "mark_read": await self._measure(self._mark_read),
            "send_personal_message": await self._measure(self._send),
            "join_room": await self._measure(self._join, self._leave),
            "leave_room": await self._measure(self._leave, self._join),
        }

    async def waiting(self) -> Mapping[str, Figures]:
        """Measure when no personal message was delivered to Ada."""
        return {"connect, 500 of all waiting": await self._measure(self._connect)}

    async def _measure(self, run: Run, before: Run | None = None) -> Figures:
        """Time a command; `before` prepares each run, and is not measured. A third warms up."""
        times: list[float] = []
        cpu: list[float] = []
        for _ in range(self.runs + self.runs // 3):
            if before is not None:
                await before()
            began, cpu_began = time.perf_counter(), time.process_time()
            await run()
            times.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - cpu_began) * 1000)
        warm = self.runs // 3
        return Figures(statistics.median(times[warm:]), statistics.median(cpu[warm:]))

    def _pair(self) -> Person:
        return Person(self.size.other(self.size.conversations))

    def _do(self, command: Command[Any], user_id: UserId = ADA) -> Awaitable[object]:
        return self._chat.execute(Actor(user_id), command)

    async def _catch_up(self) -> None:
        answer = await self._chat.execute(Actor(ADA), CatchUp(self.store.epoch, since=self._since))
        assert answer.since is not None  # noqa: S101  (a catch-up from a place always has one)
        self._since = answer.since

    async def _caught_up(self) -> None:
        settled = (await self.store.activity.mark()).settled
        self._since = CatchUpCursor.at(self.store.epoch, settled or 0)

    async def _news(self) -> None:
        await self._caught_up()
        for _ in range(NEWS):
            number = self.size.rooms + 1 + next(self._numbers) % self.size.rooms
            await self._do(SendMessage(Person(ADA), "hello"), self.size.other(number))

    async def _mark_read(self) -> None:
        numbers = self.size.rooms + 1 + next(self._numbers) % self.size.rooms
        target = Person(self.size.other(numbers))
        await self._do(MarkRead(target, next(self._numbers) % self.size.messages_each + 1))

    async def _send(self) -> None:
        await self._do(SendMessage(self._pair(), "hello"))

    async def _join(self) -> None:
        await self._do(JoinRoom(SHUTTING_DOWN_RESPONSE.room_id), JOINER)

    async def _leave(self) -> None:
        await self._do(LeaveRoom(SHUTTING_DOWN_RESPONSE.room_id), JOINER)

    async def _connect(self) -> None:
        connection_id = ConnectionId(f"connection{next(self._numbers)}")
        opening = await self._chat.sessions.prepare(Identity(ADA, None), connection_id)
        self._chat.sessions.open(opening)
        self._chat.sessions.close(ADA, connection_id)
