"""Every store compared with a model, through crashes and restarts.

The model is a list of messages per conversation. Messages that were not acknowledged when the
process died may or may not be stored: after the restart, the model is updated from the store.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import asyncpg
import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.application.commands import (
    CatchUp,
    FetchHistory,
    JoinRoom,
    ListConversations,
    MarkRead,
    Position,
    SendMessage,
)
from socketio_app.application.ports import Store
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import (
    Conversation,
    Pair,
    Person,
    Room,
    Target,
    conversation_of,
)
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import ClientMessageId, UserId
from socketio_app.domain.messaging import Message, Stored
from tests.builders import ADA, BOB, EVE, LOBBY
from tests.chat_harness import LiveChat
from tests.databases import postgres_database
from tests.stores import memory_store

USERS = [ADA, BOB, EVE]
TARGETS: list[Target] = [Room(LOBBY), *map(Person, USERS)]
RetryKey = tuple[UserId, Conversation, ClientMessageId]
"""Identity of a message, the same on every retry."""

T = TypeVar("T")


@attrs.frozen
class Sending:
    """A user sends a message, possibly again."""

    user: UserId
    target: Target
    client_message_id: ClientMessageId

    @property
    def name(self) -> RetryKey:
        return self.user, conversation_of(self.user, self.target), self.client_message_id

    @property
    def command(self) -> SendMessage:
        content = f"{self.client_message_id} of {self.user}"
        return SendMessage(self.target, content, self.client_message_id)


users, targets = st.sampled_from(USERS), st.sampled_from(TARGETS)
names = st.sampled_from([ClientMessageId(name) for name in "abcdefghijklmnop"])
sendings = st.builds(Sending, users, targets, names)
batches = st.lists(sendings, min_size=1, max_size=6)
seqs = st.integers(0, 12)
limits = st.integers(1, 4)


class StoreMachine(RuleBasedStateMachine):
    """The common rules of all stores; subclasses open, close and kill a store."""

    is_persistent = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.resources = AsyncExitStack()
        self.log: dict[Conversation, list[Message]] = defaultdict(list)
        self.read: dict[tuple[UserId, Conversation], int] = defaultdict(int)
        self.since: dict[UserId, CatchUpCursor] = {}
        self.received: dict[UserId, dict[Conversation, set[tuple[int, str]]]] = {
            user: defaultdict(set) for user in USERS
        }
        self.open_chat()

    async def open(self) -> Store:
        raise NotImplementedError

    async def close(self, store: Store) -> None:
        raise NotImplementedError

    async def kill(self, store: Store) -> None:
        """Leave the store in the state it has after its process was killed."""
        raise NotImplementedError

    def run(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return self.loop.run_until_complete(done())

    def open_chat(self) -> None:
        self.live = LiveChat(store=self.run(self.open()))
        for user in USERS:
            self.run(self.live.host(user, JoinRoom(LOBBY)))

    def teardown(self) -> None:
        self.run(self.close(self.live.store))
        self.run(self.resources.aclose())
        self.loop.close()

    def messages_by_key(self) -> dict[RetryKey, Message]:
        return {
            (message.from_user_id, message.conversation, message.client_message_id): message
            for messages in self.log.values()
            for message in messages
            if message.client_message_id is not None
        }

    @rule(batch=batches)
    def send_concurrently(self, batch: Sequence[Sending]) -> None:
        async def send_all() -> list[Stored]:
            return await asyncio.gather(
                *[self.live.host(each.user, each.command) for each in batch]
            )

        before = self.messages_by_key()
        answers = self.run(send_all())

        for sending, answer in zip(batch, answers, strict=True):
            assert answer.duplicate or sending.name not in before
            if not answer.duplicate:
                self.log[answer.message.conversation].append(answer.message)
        for messages in self.log.values():
            messages.sort(key=lambda message: message.seq)
            assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
        after = self.messages_by_key()
        assert [answer.message for answer in answers] == [after[each.name] for each in batch]

    @rule(batch=batches, turns=st.integers(0, 8))
    def crash_while_sending(self, batch: Sequence[Sending], turns: int) -> None:
        async def crash() -> list[Stored]:
            sending = [
                asyncio.create_task(self.live.host(each.user, each.command)) for each in batch
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            acknowledged = [task.result() for task in sending if task.done()]
            for task in sending:
                task.cancel()
            await asyncio.wait(sending)
            await self.kill(self.live.store)
            return acknowledged

        acknowledged = self.run(crash())
        if not self.is_persistent:
            self.log.clear()
            self.read.clear()
            self.open_chat()
            return
        for answer in acknowledged:
            if not answer.duplicate:
                self.log[answer.message.conversation].append(answer.message)
        self.open_chat()
        self.reload({each.name for each in batch})

    @rule()
    def restart(self) -> None:
        if self.is_persistent:
            self.run(self.close(self.live.store))
            self.open_chat()
            self.reload(set())

    def reload(self, unacknowledged: set[RetryKey]) -> None:
        """Reload the model; acknowledged messages must exist, and only sent ones can."""
        pairs = {Pair.of(one, other) for one in USERS for other in USERS}
        conversations: list[Conversation] = [Room(LOBBY), *pairs]
        for conversation in conversations:
            page = self.run(
                self.live.store.messages.page(conversation, Window(after_seq=0, limit=200))
            )
            assert not page.has_more
            found = list(page.messages)
            assert [message.seq for message in found] == list(range(1, len(found) + 1))
            for message in self.log[conversation]:
                assert found[message.seq - 1] == message
            known_ids = {message.message_id for message in self.log[conversation]}
            for message in found:
                assert message.client_message_id is not None
                name = message.from_user_id, conversation, message.client_message_id
                assert message.message_id in known_ids or name in unacknowledged
            self.log[conversation] = found
        assert len(self.messages_by_key()) == sum(map(len, self.log.values()))

    @rule(user=users, to=targets, before=seqs, limit=limits)
    def fetch_before(self, user: UserId, to: Target, before: int, limit: int) -> None:
        page = self.run(self.live.host(user, FetchHistory(to, Window(before, None, limit))))

        older = [m for m in self.log[conversation_of(user, to)] if m.seq < before]
        assert list(page.messages) == older[-limit:]
        assert page.has_more == (len(older) > limit)

    @rule(user=users, to=targets, after=seqs, limit=limits)
    def fetch_after(self, user: UserId, to: Target, after: int, limit: int) -> None:
        page = self.run(self.live.host(user, FetchHistory(to, Window(None, after, limit))))

        newer = [m for m in self.log[conversation_of(user, to)] if m.seq > after]
        assert list(page.messages) == newer[:limit]
        assert page.has_more == (len(newer) > limit)

    @rule(user=users, to=targets, seq=seqs)
    def mark_read(self, user: UserId, to: Target, seq: int) -> None:
        answer = self.run(self.live.host(user, MarkRead(to, seq)))

        conversation = conversation_of(user, to)
        reached = min(seq, len(self.log[conversation]))
        self.read[user, conversation] = max(self.read[user, conversation], reached)
        assert answer.read_seq == self.read[user, conversation]

    @rule(user=users, had=st.dictionaries(targets, seqs), limit=limits)
    def catch_up(self, user: UserId, had: dict[Target, int], limit: int) -> None:
        positions = [Position(target, seq) for target, seq in had.items()]
        command = CatchUp(self.live.store.epoch, positions, limit)
        caught_up = self.run(self.live.host(user, command))

        seq_of = {conversation_of(user, target): seq for target, seq in had.items()}
        given = {each.state.conversation: each for each in caught_up.conversations}
        assert caught_up.recovered
        for conversation, messages in self.of(user).items():
            missed = [m for m in messages if m.seq > seq_of.get(conversation, 0)]
            assert (conversation in given) == bool(missed)
            if missed:
                assert list(given[conversation].messages) == missed[-limit:]
                assert given[conversation].limited == (len(missed) > limit)
                assert given[conversation].state.read_seq == self.read_seq(user, conversation)
        assert set(given) <= set(self.of(user))

    @rule(user=users)
    def catch_up_since(self, user: UserId) -> None:
        """A client that follows the cursor and drops duplicates ends up with all messages."""
        for _ in range(20):
            since = self.since.get(user)
            if since is None or since.epoch != self.live.store.epoch:
                since = CatchUpCursor.at(self.live.store.epoch, 0)
                self.received[user].clear()
            command = CatchUp(since.epoch, limit=200, since=since)
            answer = self.run(self.live.host(user, command))
            assert answer.recovered
            assert answer.since is not None
            self.since[user] = answer.since
            for each in answer.conversations:
                received = self.received[user][each.state.conversation]
                received.update((message.seq, message.message_id) for message in each.messages)
            if not answer.has_more:
                break

        expected = {
            conversation: {(message.seq, message.message_id) for message in messages}
            for conversation, messages in self.of(user).items()
            if messages
        }
        assert {each: keys for each, keys in self.received[user].items() if keys} == expected

    @rule(user=users)
    def list_conversations(self, user: UserId) -> None:
        page = self.run(self.live.host(user, ListConversations()))

        listed = {each.state.conversation: each for each in page.conversations}
        spoken = {conversation for conversation, messages in self.of(user).items() if messages}
        assert set(listed) == spoken | {Room(LOBBY)}
        for conversation in spoken:
            messages, summary = self.log[conversation], listed[conversation]
            read_seq = self.read_seq(user, conversation)
            unread = [m for m in messages[read_seq:] if m.from_user_id != user]
            assert summary.last_message == messages[-1]
            assert summary.state.read_seq == read_seq
            assert summary.unread_count == len(unread)

    def read_seq(self, user: UserId, conversation: Conversation) -> int:
        """Return the user's read marker, or their own newest message if that is later."""
        own = [m.seq for m in self.log[conversation] if m.from_user_id == user]
        return max([self.read[user, conversation], *own])

    def of(self, user: UserId) -> dict[Conversation, list[Message]]:
        """Return the conversations that the user has access to."""
        return {
            conversation: messages
            for conversation, messages in self.log.items()
            if isinstance(conversation, Room) or user in (conversation.first, conversation.second)
        }


class MemoryMachine(StoreMachine):
    is_persistent = False

    async def open(self) -> Store:
        return memory_store()

    async def close(self, store: Store) -> None:
        pass

    async def kill(self, store: Store) -> None:
        pass


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        self.path: Path | None = None
        super().__init__()

    async def open(self) -> Store:
        if self.path is None:
            folder = self.resources.enter_context(tempfile.TemporaryDirectory())
            self.path = Path(folder) / "chat.db"
        store = SqliteStore(self.path, rooms_per_user=10)
        await store.start()
        return store

    async def close(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        await store.close()

    async def kill(self, store: Store) -> None:
        # After a kill, committed messages exist and waiting ones do not.
        assert isinstance(store, SqliteStore)
        store._commits._waiting.clear()
        await store.close()


class PostgresMachine(StoreMachine):
    def __init__(self) -> None:
        self.url = ""
        super().__init__()

    async def open(self) -> Store:
        if not self.url:
            self.url = await self.resources.enter_async_context(postgres_database())
        store = PostgresStore(self.url, rooms_per_user=10)
        await store.start()
        return store

    async def close(self, store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.close()

    async def kill(self, store: Store) -> None:
        # A kill closes the database connections at any point.
        assert isinstance(store, PostgresStore)
        store.messages.commits._waiting.clear()
        store._connector.terminate()
        # Nothing of a killed process goes on: one of its tasks could open a session after its end.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        # A commit may be in progress on the server: wait until all sessions have ended.
        connection = await asyncpg.connect(self.url)
        async with asyncio.timeout(60):
            while await connection.fetchval(_OTHERS):
                await asyncio.sleep(0.001)
        await connection.close()


_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.mark.parametrize(
    ("machine", "examples"), [(MemoryMachine, 60), (SqliteMachine, 20), (PostgresMachine, 12)]
)
@pytest.mark.timeout(240)
def test_store_matches_model(machine: type[StoreMachine], examples: int) -> None:
    limits = settings(max_examples=examples, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(machine, settings=limits)
