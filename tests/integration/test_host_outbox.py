"""The outbox in transactions of a host that uses SQLAlchemy, with each database and driver."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import msgspec
import pytest
import sqlmodel.ext.asyncio.session
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite import file
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.adapters.system import new_message_id
from socketio_app.application.outbox import HostConnectionError, IsOver, Outbox, QueuedMessage
from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.errors import Conflict, Unavailable
from socketio_app.domain.identifiers import ClientMessageId, MessageId
from socketio_app.domain.messaging import Draft
from tests.builders import ADA, BOB, LOBBY, draft
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio

DRIVERS = ["postgresql+asyncpg", "postgresql+psycopg", "sqlite+aiosqlite"]


@attrs.define
class Host:
    """A host's database with the chat's store in it."""

    engine: AsyncEngine
    store: Store
    outbox: Outbox
    commits: list[tuple[Sequence[MessageId], IsOver]] = attrs.field(factory=list)

    async def put(self, connection: object, draft: Draft) -> QueuedMessage:
        return await self.outbox.put(
            connection,  # type: ignore[arg-type]
            draft,
            lambda ids, is_over: self.commits.append((ids, is_over)),
        )

    async def committed(self) -> list[str]:
        """Return the contents of the committed messages."""
        return [each.content for each in await self.outbox.page(None, 100)]


@pytest.fixture(params=DRIVERS)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    async with AsyncExitStack() as stack:
        database, _, driver = request.param.partition("+")
        store: Store
        if database == "sqlite":
            url = f"sqlite:///{tmp_path}/app.db"
            store = SqliteStore(tmp_path / "app.db", rooms_per_user=10)
        else:
            url = await stack.enter_async_context(postgres_database())
            store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        stack.push_async_callback(store.close)
        engine = create_async_engine(url.replace(f"{database}:", f"{database}+{driver}:"))
        stack.push_async_callback(engine.dispose)
        outbox = store.capabilities.outbox
        assert outbox is not None
        yield Host(engine, store, outbox)


def message(content: str = "Hello", name: str | None = None) -> Draft:
    """Return a draft to Bob with a `client_message_id`."""
    built = draft(Pair.of(ADA, BOB), ADA, content=content, client_message_id=name or content)
    return msgspec.structs.replace(built, message_id=new_message_id())


async def test_message_of_a_connection_is_found_after_the_commit(host: Host) -> None:
    sent = message()

    async with host.engine.begin() as connection:
        queued = await host.put(connection, sent)
        assert await host.committed() == []

    assert queued == QueuedMessage(sent.message_id, ClientMessageId("Hello"), duplicate=False)
    assert await host.outbox.page(None, 10) == [sent]
    assert await host.outbox.find([sent.message_id]) == [sent]


async def test_message_to_a_room_is_found_as_it_was_put(host: Host) -> None:
    sent = draft(Room(LOBBY), ADA, content="\0 in a room", client_message_id="1")

    async with host.engine.begin() as connection:
        await host.put(connection, sent)

    assert await host.outbox.page(None, 10) == [sent]


@pytest.mark.parametrize("session_class", [AsyncSession, sqlmodel.ext.asyncio.session.AsyncSession])
async def test_message_of_a_session_is_found_after_the_commit(
    host: Host, session_class: type[AsyncSession]
) -> None:
    async with session_class(host.engine) as session:
        await host.put(session, message())
        await session.commit()

    assert await host.committed() == ["Hello"]


async def test_commit_is_announced_once_with_its_messages_and_is_over_afterwards(
    host: Host,
) -> None:
    first, second = message("1"), message("2")
    async with host.engine.connect() as connection:
        await host.put(connection, first)
        await host.put(connection, second)
        assert host.commits == []
        await connection.commit()
        await connection.execute(text("SELECT 1"))
        await connection.commit()

    ((message_ids, is_over),) = host.commits
    assert message_ids == [first.message_id, second.message_id]
    assert is_over()


async def test_each_commit_of_a_connection_announces_its_own_messages(host: Host) -> None:
    drafts = [message("1"), message("2")]
    async with host.engine.connect() as connection:
        for each in drafts:
            await host.put(connection, each)
            await connection.commit()

    assert [message_ids for message_ids, _ in host.commits] == [
        [each.message_id] for each in drafts
    ]


async def test_commit_is_not_over_when_it_is_announced(host: Host) -> None:
    seen: list[bool] = []
    async with host.engine.connect() as connection:
        await host.outbox.put(connection, message(), lambda _ids, is_over: seen.append(is_over()))
        await connection.commit()

    assert seen == [False]


async def test_rollback_leaves_nothing(host: Host) -> None:
    async with host.engine.connect() as connection:
        await host.put(connection, message())
        await connection.rollback()
        await connection.execute(text("SELECT 1"))
        await connection.commit()

    assert await host.committed() == []


async def test_message_of_a_rolled_back_savepoint_is_dropped(host: Host) -> None:
    async with AsyncSession(host.engine) as session, session.begin():
        await host.put(session, message("before"))
        savepoint = await session.begin_nested()
        await host.put(session, message("inside"))
        await savepoint.rollback()
        async with session.begin_nested():
            await host.put(session, message("released"))

    assert await host.committed() == ["before", "released"]


async def test_commit_of_a_session_in_an_outer_transaction_is_not_final(host: Host) -> None:
    async with host.engine.connect() as connection:
        outer = await connection.begin()
        await host.put(connection, message("outer"))
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            await host.put(session, message())
            await session.commit()
        assert host.commits == []
        await outer.rollback()

    assert await host.committed() == []


async def test_commit_by_the_release_of_a_savepoint_is_announced(host: Host) -> None:
    async with host.engine.connect() as connection:
        outer = await connection.begin()
        async with connection.begin_nested():
            await host.put(connection, message())
        await outer.rollback()

    # SQLite's driver has committed, unless the host begins transactions by itself.
    assert len(host.commits) == len(await host.committed())
    if host.commits:
        assert host.commits[0][1]()


async def test_retry_in_the_same_transaction_is_recognized(host: Host) -> None:
    first = message("Hello", "1")
    async with host.engine.begin() as connection:
        await host.put(connection, first)
        again = await host.put(connection, message("Hello", "1"))

    assert again == QueuedMessage(first.message_id, ClientMessageId("1"), duplicate=True)
    assert await host.committed() == ["Hello"]


async def test_retry_of_a_message_in_the_log_is_recognized(host: Host) -> None:
    stored = await host.store.messages.append(message("Hello", "1"))

    async with host.engine.begin() as connection:
        again = await host.put(connection, message("Hello", "1"))

    assert again == QueuedMessage(stored.message.message_id, ClientMessageId("1"), duplicate=True)
    assert await host.committed() == []


async def test_same_client_message_id_with_other_content_is_a_conflict(host: Host) -> None:
    await host.store.messages.append(message("Hello", "1"))

    async with host.engine.begin() as connection:
        with pytest.raises(Conflict):
            await host.put(connection, message("Goodbye", "1"))


async def test_same_client_message_id_in_another_conversation_is_no_retry(host: Host) -> None:
    await host.store.messages.append(message("Hello", "1"))

    async with host.engine.begin() as connection:
        await host.put(connection, draft(Room(LOBBY), ADA, content="Hello", client_message_id="1"))

    assert await host.committed() == ["Hello"]


async def test_removed_messages_are_not_found(host: Host) -> None:
    sent = message()
    async with host.engine.begin() as connection:
        await host.put(connection, sent)

    await host.outbox.remove([sent.message_id])

    assert await host.committed() == []


async def test_pages_are_in_the_order_of_the_ids(host: Host) -> None:
    drafts = [message(str(number)) for number in range(5)]
    async with host.engine.begin() as connection:
        for each in reversed(drafts):
            await host.put(connection, each)

    assert await host.outbox.page(None, 2) == drafts[:2]
    assert await host.outbox.page(drafts[1].message_id, 10) == drafts[2:]


async def test_connection_in_autocommit_mode_is_rejected_and_stores_nothing(host: Host) -> None:
    engine = host.engine.execution_options(isolation_level="AUTOCOMMIT")

    async with engine.connect() as connection:
        with pytest.raises(HostConnectionError, match="AUTOCOMMIT"):
            await host.put(connection, message())

    assert await host.committed() == []


async def test_connection_to_a_database_without_the_chat_is_rejected_and_stays_usable(
    host: Host, tmp_path: Path
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/other.db")

    async with engine.begin() as connection:
        with pytest.raises(HostConnectionError, match="another database"):
            await host.put(connection, message())
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def test_connection_to_a_copy_of_the_database_is_rejected(host: Host, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        # Copies of one template have the same epoch.
        if host.engine.dialect.name == "postgresql":
            other = await stack.enter_async_context(postgres_database())
            url = other.replace("postgresql:", f"postgresql+{host.engine.dialect.driver}:")
        else:
            async with host.engine.connect() as connection:
                await connection.execute(text(f"VACUUM INTO '{tmp_path}/copy.db'"))
            url = f"sqlite+aiosqlite:///{tmp_path}/copy.db"
        engine = create_async_engine(url)
        stack.push_async_callback(engine.dispose)

        async with engine.begin() as connection:
            with pytest.raises(HostConnectionError, match="another database"):
                await host.put(connection, message())


@pytest.mark.parametrize("connection", ["postgresql://localhost", object()])
async def test_anything_but_a_connection_is_rejected(host: Host, connection: object) -> None:
    with pytest.raises(HostConnectionError, match="must be a session or connection of SQLAlchemy"):
        await host.put(connection, message())


async def test_synchronous_session_is_rejected_outside_of_its_thread(host: Host) -> None:
    with Session() as session:
        with pytest.raises(HostConnectionError, match=r"call chat\.from_thread\.send"):
            await host.put(session, message())


async def test_open_transaction_delays_no_message_of_its_conversation(host: Host) -> None:
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    conversation = Pair.of(ADA, BOB)

    async with host.engine.connect() as connection, host.engine.connect() as another:
        await host.put(connection, message("first", "same id"))
        await host.put(another, message("second", "same id"))
        stored = await host.store.messages.append(draft(conversation, BOB))

    assert stored.message.seq == 1


async def test_locked_file_is_unavailable(host: Host, tmp_path: Path) -> None:
    if host.engine.dialect.name != "sqlite":
        pytest.skip("nothing is locked in PostgreSQL")
    engine = create_async_engine(host.engine.url, connect_args={"timeout": 0})

    async with host.engine.begin() as locking, engine.connect() as connection:
        await host.put(locking, message("first"))
        with pytest.raises(Unavailable, match="another transaction has locked the SQLite file"):
            await host.put(connection, message("second"))
    await engine.dispose()

    assert await host.committed() == ["first"]


async def test_write_that_waits_too_long_for_an_open_transaction_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "LOCK_TIMEOUT_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "app.db", rooms_per_user=10)
    await store.start()
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/app.db")
    outbox = store.capabilities.outbox
    assert outbox is not None

    async with engine.begin() as connection:
        await outbox.put(connection, message(), lambda _ids, _is_over: None)
        with pytest.raises(Unavailable, match="cannot write to the store"):
            await store.messages.append(draft())
    stored = await store.messages.append(draft())

    assert stored.message.seq == 1
    await engine.dispose()
    await store.close()


async def test_writes_of_the_host_leave_checkpoints_to_the_chat(host: Host) -> None:
    if host.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL checkpoints by itself")

    async with host.engine.connect() as connection:
        await host.put(connection, message())
        assert await connection.scalar(text("PRAGMA wal_autocheckpoint")) == 0
