"""Transactions of a host, interleaved with normal sends, compared with a model on each database.

The model is the set of messages that must be stored in each conversation. A message has a name: its
`client_message_id` if it has one, and its content. Several senders of one name store one message.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    create_async_engine,
)

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.adapters.system import new_message_id
from socketio_app.application.commands import Actor, JoinRoom
from socketio_app.application.events import MessageSent
from socketio_app.application.outbox import Outbox
from socketio_app.application.ports import Store
from socketio_app.domain.conversations import (
    Conversation,
    Person,
    Room,
    Target,
    conversation_of,
)
from socketio_app.domain.history import Window
from socketio_app.domain.messaging import Stored
from tests.builders import ADA, BOB, LOBBY
from tests.chat_harness import Device, LiveChat
from tests.databases import postgres_database

PATIENCE_SECONDS = 30
MOMENT = timedelta(milliseconds=1)

T = TypeVar("T")

Key = tuple[Conversation, str]
"""A conversation, and the name of a message in it."""


@attrs.define(eq=False)
class Transaction:
    """A transaction of the host, and what it would commit."""

    connection: AsyncSession | AsyncConnection
    queued: list[list[Key]] = attrs.field(factory=lambda: [[]])
    """The messages of the transaction, and of each savepoint in it."""
    savepoints: list[Any] = attrs.field(factory=list)

    @property
    def keys(self) -> list[Key]:
        return [key for level in self.queued for key in level]


TARGETS: list[Target] = [Room(LOBBY), Person(BOB)]
targets = st.sampled_from(TARGETS)
names = st.one_of(st.none(), st.sampled_from(list("abcdef")))
slots = st.integers(0, 2)


class HostMachine(RuleBasedStateMachine):
    """The rules; subclasses name the database."""

    has_one_writer = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.resources = AsyncExitStack()
        self.numbers = count(1)
        self.transactions: dict[int, Transaction] = {}
        self.sending: list[tuple[Key, asyncio.Task[Stored]]] = []
        self.committed: dict[Conversation, set[str]] = defaultdict(set)
        self.orders: list[list[Key]] = []
        """What each committed transaction had queued, in order."""
        self.store: Store
        self.engine: AsyncEngine
        self.live: LiveChat
        self.bob: Device
        self.run(self.open())

    def run(self, work: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await work

        return self.loop.run_until_complete(bounded())

    async def open_database(self) -> tuple[Store, str]:
        """Return a store, and the host's URL of its database."""
        raise NotImplementedError

    async def open(self) -> None:
        self.store, url = await self.open_database()
        await self.store.start()
        self.resources.push_async_callback(self.store.close)
        self.engine = create_async_engine(url)
        self.resources.push_async_callback(self.engine.dispose)
        self.live = LiveChat(store=self.store, new_message_id=new_message_id)
        self.bob = await self.live.connect(BOB)
        for user in (ADA, BOB):
            await self.live.chat.execute(Actor(user), JoinRoom(LOBBY))

    def teardown(self) -> None:
        while self.transactions:
            self.commit(0, restarts=False)
        self.settle()
        self.run(self.close_chat())
        self.run(self.resources.aclose())
        self.loop.close()

    def chosen(self, slot: int) -> Transaction | None:
        """Return any open transaction."""
        opened = list(self.transactions.values())
        return opened[slot % len(opened)] if opened else None

    def new_name(self, name: str | None) -> str:
        return name or f"number {next(self.numbers)}"

    @rule(
        slot=slots,
        uses_session=st.booleans(),
        to=targets,
        some=st.lists(names, min_size=1, max_size=3),
    )
    def queue(self, slot: int, uses_session: bool, to: Target, some: list[str | None]) -> None:
        """Send messages in a transaction, which begins if it has not."""
        transaction = self.chosen(slot) if self.has_one_writer else self.transactions.get(slot)
        if transaction is None:
            connection = AsyncSession(self.engine) if uses_session else self.engine.connect()
            if isinstance(connection, AsyncConnection):
                self.run(connection.start())
            transaction = self.transactions[slot] = Transaction(connection)
        for name in some:
            self.queue_one(transaction, to, name)

    def queue_one(self, transaction: Transaction, to: Target, name: str | None) -> None:
        content = self.new_name(name)
        key = conversation_of(ADA, to), content
        unknown = [other for other, _ in self.sending]
        queued = self.run(
            self.live.chat.send(
                ADA,
                to,
                content,
                client_message_id=name,
                connection=transaction.connection,
            )
        )
        if content in self.committed[key[0]] or key in transaction.keys:
            assert queued.duplicate
        elif key not in unknown:
            assert not queued.duplicate
        if not queued.duplicate:
            transaction.queued[-1].append(key)

    @rule(slot=slots)
    def begin_savepoint(self, slot: int) -> None:
        transaction = self.chosen(slot)
        if transaction is not None:
            transaction.savepoints.append(self.run(_begin_nested(transaction.connection)))
            transaction.queued.append([])

    @rule(slot=slots, keeps=st.booleans())
    def end_savepoint(self, slot: int, keeps: bool) -> None:
        transaction = self.chosen(slot)
        if transaction is None or not transaction.savepoints:
            return
        savepoint, inside = transaction.savepoints.pop(), transaction.queued.pop()
        if keeps:
            self.run(savepoint.commit())
            transaction.queued[-1] += inside
        else:
            self.run(savepoint.rollback())

    @rule(slot=slots, restarts=st.booleans())
    def commit(self, slot: int, restarts: bool) -> None:
        """Commit, and perhaps end the chat before it has noticed."""
        transaction = self.chosen(slot)
        if transaction is not None:
            self.run(transaction.connection.commit())
            self.end(transaction)
            for conversation, name in transaction.keys:
                self.committed[conversation].add(name)
            self.orders.append(transaction.keys)
        if restarts and not self.has_writes():
            self.restart()

    @rule(slot=slots, closes=st.booleans())
    def roll_back(self, slot: int, closes: bool) -> None:
        transaction = self.chosen(slot)
        if transaction is not None:
            if not closes:
                self.run(transaction.connection.rollback())
            self.end(transaction)

    def end(self, transaction: Transaction) -> None:
        self.run(transaction.connection.close())
        self.transactions = {
            slot: each for slot, each in self.transactions.items() if each is not transaction
        }

    @rule(to=targets, name=names)
    def send(self, to: Target, name: str | None) -> None:
        """Begin to send a message as usual; on SQLite, it may have to wait for a transaction."""
        content = self.new_name(name)
        sending = self.live.chat.send(ADA, to, content, client_message_id=name)
        task = self.loop.create_task(sending)
        self.sending.append(((conversation_of(ADA, to), content), task))
        self.run(asyncio.sleep(0))

    @rule()
    def pass_time(self) -> None:
        self.run(self.moment())

    async def moment(self) -> None:
        self.live.clock.advance(MOMENT)
        await asyncio.sleep(0.001)

    @precondition(lambda self: not self.has_writes())
    @rule()
    def settle(self) -> None:
        """Wait until everything is sent, and compare."""
        self.finish_sending()
        self.run(self.until_sent())
        self.compare()

    @precondition(lambda self: not self.has_writes())
    @rule()
    def restart(self) -> None:
        """End the chat, and start it again."""
        self.finish_sending()
        self.run(self.close_chat())
        self.bob.close()
        self.run(self.reopen_chat())

    def finish_sending(self) -> None:
        for (conversation, name), task in self.sending:
            self.run(task)
            self.committed[conversation].add(name)
        self.sending.clear()

    async def reopen_chat(self) -> None:
        self.live.chat.open()
        self.bob = await self.live.connect(BOB)

    async def close_chat(self) -> None:
        """Close the chat, and wait for what it has begun."""
        self.live.chat.close()
        self.live.clock._timers.clear()  # nor does a process keep them
        while self.live.chat._repairs._running:
            await asyncio.sleep(0.001)

    def has_writes(self) -> bool:
        return self.has_one_writer and bool(self.transactions)

    async def until_sent(self) -> None:
        outbox = self.store.capabilities.outbox
        assert outbox is not None
        while await self.is_missing_anything(outbox):
            await self.moment()

    async def is_missing_anything(self, outbox: Outbox) -> bool:
        if await outbox.page(None, 1):
            return True
        for conversation, expected in self.committed.items():
            last_seq = await self.store.messages.last_seq(conversation)
            if last_seq < len(expected):
                return True
            received = [m.seq for m in self.received(conversation)]
            if received and received[-1] < last_seq:
                return True
        return False

    def received(self, conversation: Conversation) -> list[Any]:
        events = self.bob.of(MessageSent)
        return [each.message for each in events if each.message.conversation == conversation]

    def compare(self) -> None:
        places: dict[Key, int] = {}
        for conversation, expected in self.committed.items():
            page = self.run(self.store.messages.page(conversation, Window(limit=200)))
            stored = {message.seq: message.content for message in page.messages}
            assert list(stored) == list(range(1, len(expected) + 1))
            assert set(stored.values()) == expected
            places |= {(conversation, content): seq for seq, content in stored.items()}
            received = self.received(conversation)
            if received:
                first = received[0].seq
                assert [each.seq for each in received] == list(range(first, len(expected) + 1))
                assert all(stored[each.seq] == each.content for each in received)
        for keys in self.orders:
            for conversation in {key[0] for key in keys}:
                # A named message may have been sent before by others.
                own = [each for each in keys if each[0] == conversation and len(each[1]) > 1]
                assert own == sorted(own, key=places.__getitem__)


async def _begin_nested(connection: AsyncSession | AsyncConnection) -> Any:
    return await connection.begin_nested()


class SqliteMachine(HostMachine):
    has_one_writer = True

    async def open_database(self) -> tuple[Store, str]:
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / "app.db"
        return SqliteStore(path, rooms_per_user=10), f"sqlite+aiosqlite:///{path}"


class PostgresMachine(HostMachine):
    async def open_database(self) -> tuple[Store, str]:
        url = await self.resources.enter_async_context(postgres_database())
        store = PostgresStore(url, rooms_per_user=10)
        return store, url.replace("postgresql://", "postgresql+asyncpg://")


@pytest.mark.parametrize(("machine", "examples"), [(SqliteMachine, 15), (PostgresMachine, 15)])
@pytest.mark.timeout(240)
def test_host_transactions_match_the_model(
    machine: Callable[[], HostMachine], examples: int
) -> None:
    limits = settings(max_examples=examples, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(machine, settings=limits)  # type: ignore[arg-type]
