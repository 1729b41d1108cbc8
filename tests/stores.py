"""A store that delays calls or makes them fail, as the test demands."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from socketio_app.adapters.memory import MemoryStore
from socketio_app.application.commands import RoomJoined
from socketio_app.application.ports import (
    ActivityLog,
    ConversationLog,
    ConversationSeq,
    DeliveryLog,
    MessageLog,
    RoomRepository,
)
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import ConversationState, Page, ReadMarker, Recent, Window
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Left, Membership

Hook = Callable[[str], Awaitable[None]]
"""Runs before or after a call to a store, with the name of the call."""


async def nothing(_call: str) -> None:
    """Do nothing."""


def memory_store() -> MemoryStore:
    """Return a store with more capacity than any test needs."""
    return MemoryStore(max_messages=100_000, conversations=100_000, rooms_per_user=1000)


class HookedStore:
    """The in-memory store, with hooks before and after each call.

    As in a database, the effect of a call is visible to others before the call returns.
    """

    capabilities = StoreCapabilities()

    def __init__(self, before: Hook = nothing, after: Hook = nothing) -> None:
        store = memory_store()
        self.epoch = store.epoch
        self.messages: MessageLog = HookedMessages(store.messages, before, after)
        self.deliveries = HookedDeliveries(store.deliveries, before, after)
        self.conversations = HookedConversations(store.conversations, before, after)
        self.activity = HookedActivity(store.activity, before, after)
        self.rooms: RoomRepository = HookedRooms(store.rooms, before, after)
        self._before = before

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def check(self) -> None:
        await self._before("check")


class HookedMessages:
    """Appends to a conversation return in the order of their `seq`s, as the port requires."""

    def __init__(self, log: MessageLog, before: Hook, after: Hook) -> None:
        self._log, self._before, self._after = log, before, after
        self._locks: dict[Conversation, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def append(self, draft: Draft) -> Stored:
        await self._before("append")
        async with self._locks[draft.conversation]:
            stored = await self._log.append(draft)
            await self._after("append")
        return stored

    async def last_seq(self, conversation: Conversation) -> int:
        await self._before("last_seq")
        last_seq = await self._log.last_seq(conversation)
        await self._after("last_seq")
        return last_seq

    async def page(self, conversation: Conversation, window: Window) -> Page:
        await self._before("page")
        page = await self._log.page(conversation, window)
        await self._after("page")
        return page

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        await self._before("newest")
        newest = await self._log.newest(beyond, limit)
        await self._after("newest")
        return newest


class HookedDeliveries:
    def __init__(self, log: DeliveryLog, before: Hook, after: Hook) -> None:
        self._log, self._before, self._after = log, before, after
        self._lock = asyncio.Lock()
        self._writes: list[asyncio.Future[None]] = []

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        await self._before("undelivered")
        undelivered = await self._log.undelivered(user_id, limit)
        await self._after("undelivered")
        return undelivered

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        await self._before("still_undelivered")
        undelivered = await self._log.still_undelivered(messages)
        await self._after("still_undelivered")
        return undelivered

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        async def deliver() -> None:
            async with self._lock:
                await self._before("delivered")
                fresh: list[Message] = []
                self._log.delivered(messages, fresh.extend)
                await self._after("delivered")
            if fresh:
                first_time(fresh)

        self._writes.append(asyncio.ensure_future(deliver()))

    async def settled(self) -> None:
        """Wait until every delivery was recorded, or failed."""
        while self._writes:
            await asyncio.wait([self._writes[0]])
            write = self._writes.pop(0)
            if not isinstance(write.exception(), Unavailable):
                write.result()


class HookedConversations:
    def __init__(self, log: ConversationLog, before: Hook, after: Hook) -> None:
        self._log, self._before, self._after = log, before, after

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        await self._before("of_user")
        states = await self._log.of_user(user_id, limit, before_activity)
        await self._after("of_user")
        return states

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        await self._before("recent")
        recent = await self._log.recent(user_id, limit, before_activity)
        await self._after("recent")
        return recent

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        await self._before("mark_read")
        read = await self._log.mark_read(user_id, conversation, seq)
        await self._after("mark_read")
        return read


class HookedActivity:
    def __init__(self, log: ActivityLog, before: Hook, after: Hook) -> None:
        self._log, self._before, self._after = log, before, after

    async def mark(self) -> Mark:
        await self._before("mark")
        mark = await self._log.mark()
        await self._after("mark")
        return mark

    async def recent_mark(self) -> Mark:
        await self._before("recent_mark")
        mark = await self._log.recent_mark()
        await self._after("recent_mark")
        return mark

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        await self._before("changes")
        changes = await self._log.changes(user_id, since, given, limit)
        await self._after("changes")
        return changes

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        await self._before("new_messages")
        messages = await self._log.new_messages(changes, beyond, since, limit)
        await self._after("new_messages")
        return messages


class HookedRooms:
    def __init__(self, rooms: RoomRepository, before: Hook, after: Hook) -> None:
        self._rooms, self._before, self._after = rooms, before, after

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        await self._before("join")
        joined = await self._rooms.join(room_id, user_id, at)
        await self._after("join")
        return joined

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        await self._before("leave")
        left = await self._rooms.leave(room_id, user_id)
        await self._after("leave")
        return left

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        await self._before("membership")
        membership = await self._rooms.membership(room_id, user_id)
        await self._after("membership")
        return membership

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        await self._before("is_member")
        is_member = await self._rooms.is_member(room_id, user_id)
        await self._after("is_member")
        return is_member

    async def member_count(self, room_id: RoomId) -> int:
        await self._before("member_count")
        member_count = await self._rooms.member_count(room_id)
        await self._after("member_count")
        return member_count

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        await self._before("rooms_of")
        rooms = await self._rooms.rooms_of(user_id)
        await self._after("rooms_of")
        return rooms


class Outage:
    """A hook that makes the calls in `down` fail."""

    def __init__(self) -> None:
        self.down: set[str] = set()

    async def __call__(self, call: str) -> None:
        if call in self.down:
            raise Unavailable("the store is down")


class Gate:
    """A hook that holds one call until `release`; all others pass."""

    def __init__(self) -> None:
        self._call: str | None = None
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    def hold_next(self, call: str) -> None:
        """Hold the next call with a name."""
        self._call = call

    async def reached(self) -> None:
        """Wait until the held call arrives."""
        await self._reached.wait()

    def release(self) -> None:
        """Release the call."""
        self._open.set()

    async def __call__(self, call: str) -> None:
        if call == self._call:
            self._call = None
            self._reached.set()
            await self._open.wait()
