"""The store check fails while the store can be read but not written to."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from tests.builders import LOBBY, draft
from tests.databases import postgres_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    yield store
    await store.close()


async def fail_to_append(store: Store) -> None:
    with pytest.raises(Unavailable):
        await store.messages.append(draft(Room(LOBBY)))


async def test_check_fails_while_the_sqlite_file_is_read_only(sqlite: SqliteStore) -> None:
    await sqlite.check()
    assert sqlite._writer is not None
    connection = sqlite._writer.connection

    connection.execute("PRAGMA query_only = ON")
    await fail_to_append(sqlite)
    with pytest.raises(Unavailable):
        await sqlite.check()

    connection.execute("PRAGMA query_only = OFF")
    await sqlite.check()
    assert (await sqlite.messages.append(draft(Room(LOBBY)))).message.seq == 1


async def test_check_fails_while_the_postgresql_database_is_read_only() -> None:
    async with postgres_database() as url:
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()
        await store.check()
        admin = await asyncpg.connect(url)
        name = await admin.fetchval("SELECT quote_ident(current_database())")
        reconnect = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await admin.execute(reconnect)
        await fail_to_append(store)
        with pytest.raises(Unavailable):
            await store.check()

        await admin.execute("SET default_transaction_read_only = off")
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await admin.execute(reconnect)
        await admin.close()
        await store.check()
        assert (await store.messages.append(draft(Room(LOBBY)))).message.seq == 1
        await store.close()


async def test_check_fails_on_a_read_only_server_before_the_first_write() -> None:
    async with postgres_database() as url:
        admin = await asyncpg.connect(url)
        name = await admin.fetchval("SELECT quote_ident(current_database())")
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()

        with pytest.raises(Unavailable):
            await store.check()

        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await store.check()
        await store.close()
        await admin.close()


async def test_check_fails_while_the_disk_of_postgresql_is_full() -> None:
    async with postgres_database() as url:
        admin = await asyncpg.connect(url)
        store = PostgresStore(url, rooms_per_user=10)
        await store.start()

        # The server's error when a table cannot grow; existing rows can still be updated.
        await admin.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER disk_full BEFORE INSERT ON chat_message EXECUTE FUNCTION refuse()
            """
        )
        await fail_to_append(store)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await store.check()

        await admin.execute("DROP TRIGGER disk_full ON chat_message")
        await store.check()
        assert await admin.fetchval("SELECT count(*) FROM chat_message") == 0
        assert (await store.messages.append(draft(Room(LOBBY)))).message.seq == 1
        await store.close()
        await admin.close()
