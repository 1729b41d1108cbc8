"""A store whose calls stop before and after their effect, until the test continues them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from typing import TypeVar

import attrs

from socketio_app.adapters.memory import MemoryStore
from socketio_app.application.commands import RoomJoined
from socketio_app.application.ports import ConversationSeq, MessageLog, RoomRepository
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Page, Window
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Left, Membership
from tests.stores import memory_store

Result = TypeVar("Result")


@attrs.define(eq=False)
class Call:
    """An unfinished call to the store."""

    name: str
    order: Hashable
    """Calls with the same order take effect and return one after the other; `None` for no order."""
    user_id: UserId | None = None
    result: object = None
    in_effect: bool = False
    is_answered: bool = False
    """Whether the caller got the result."""
    _continuation: "asyncio.Future[bool] | None" = None

    async def stop(self) -> None:
        """Wait for `proceed` or `fail`.

        Raises:
            Unavailable: The test made the call fail.
        """
        self._continuation = asyncio.get_running_loop().create_future()
        if not await self._continuation:
            raise Unavailable("the store is down")

    def proceed(self) -> None:
        """Continue to the effect, or to the result."""
        self._continue(succeeds=True)

    def fail(self) -> None:
        self._continue(succeeds=False)

    @property
    def is_waiting(self) -> bool:
        return self._continuation is not None

    def _continue(self, *, succeeds: bool) -> None:
        assert self._continuation is not None
        self._continuation.set_result(succeeds)
        self._continuation = None


class FaultyStore:
    """The in-memory store, with calls that a test continues or makes fail.

    It follows the contracts of the ports: appends to a conversation return in the order of their
    `seq`s, and joins and leaves of a room return in the order in which they took effect.
    """

    capabilities = StoreCapabilities()

    def __init__(self) -> None:
        self.memory: MemoryStore = memory_store()
        self.epoch = self.memory.epoch
        self.deliveries = FaultyDeliveries(self)
        self.conversations = self.memory.conversations
        self.activity = self.memory.activity
        self.messages: MessageLog = FaultyMessages(self)
        self.rooms: RoomRepository = FaultyRooms(self)
        self.calls: list[Call] = []
        """Unfinished calls, oldest first."""
        self.late: list[Draft] = []
        """Messages of appends that failed before their effect, which may still take place."""
        self.on_effect: Callable[[Call], None] = lambda _call: None
        self.on_answer: Callable[[Call], None] = lambda _call: None

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def check(self) -> None:
        """Always succeed."""

    def pending(self) -> Sequence[Call]:
        """Return the calls that can proceed now."""
        ahead: set[Hashable] = set()
        pending = []
        for call in sorted(self.calls, key=lambda call: not call.in_effect):
            if call.order is not None:
                if call.order in ahead:
                    continue
                ahead.add(call.order)
            if call.is_waiting:
                pending.append(call)
        return pending

    async def call(
        self,
        name: str,
        order: Hashable,
        work: Callable[[], Awaitable[Result]],
        user_id: UserId | None = None,
    ) -> Result:
        call = Call(name, order, user_id)
        self.calls.append(call)
        try:
            await call.stop()
            result = call.result = await work()
            call.in_effect = True
            self.on_effect(call)
            await call.stop()
            call.is_answered = True
            return result
        finally:
            self.calls.remove(call)
            self.on_answer(call)


class FaultyMessages:
    def __init__(self, store: FaultyStore) -> None:
        self._store, self._call, self._log = store, store.call, store.memory.messages

    async def append(self, draft: Draft) -> Stored:
        has_started = False

        async def append() -> Stored:
            nonlocal has_started
            has_started = True
            return await self._log.append(draft)

        try:
            return await self._call("append", draft.conversation, append)
        except Unavailable:
            if not has_started:
                self._store.late.append(draft)
            raise

    async def last_seq(self, conversation: Conversation) -> int:
        return await self._call("last_seq", None, lambda: self._log.last_seq(conversation))

    async def page(self, conversation: Conversation, window: Window) -> Page:
        return await self._call("page", None, lambda: self._log.page(conversation, window))

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        return await self._call("newest", None, lambda: self._log.newest(beyond, limit))


class FaultyDeliveries:
    def __init__(self, store: FaultyStore) -> None:
        self._call, self._log = store.call, store.memory.deliveries

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        return await self._call("undelivered", None, lambda: self._log.undelivered(user_id, limit))

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        return await self._log.still_undelivered(messages)

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        self._log.delivered(messages, first_time)


class FaultyRooms:
    def __init__(self, store: FaultyStore) -> None:
        self._call, self._rooms = store.call, store.memory.rooms

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        return await self._call(
            "join", room_id, lambda: self._rooms.join(room_id, user_id, at), user_id
        )

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        return await self._call(
            "leave", room_id, lambda: self._rooms.leave(room_id, user_id), user_id
        )

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        return await self._call(
            "membership", room_id, lambda: self._rooms.membership(room_id, user_id)
        )

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        return await self._rooms.is_member(room_id, user_id)

    async def member_count(self, room_id: RoomId) -> int:
        return await self._rooms.member_count(room_id)

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        return await self._call("rooms_of", None, lambda: self._rooms.rooms_of(user_id))
