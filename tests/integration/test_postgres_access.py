"""Access to PostgreSQL: parameters of the URL, and one-line errors."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from socketio_app.adapters.sql.migrations import HEAD, SchemaError, migrate_postgres
from socketio_app.adapters.sql.postgres.session import ConnectFailedError
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from socketio_app.entrypoints.cli import main
from tests.builders import LOBBY, draft
from tests.databases import postgres_database
from tests.servers import Postgres, postgres
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio


async def migrate_and_use(url: str) -> None:
    """Migrate a database, and append a message to it."""
    await migrate_postgres(url)
    store = PostgresStore(url, rooms_per_user=10)
    await store.start()
    try:
        assert (await store.messages.append(draft(Room(LOBBY)))).message.seq == 1
    finally:
        await store.close()


async def run(url: str, *command: str) -> tuple[int | None, str]:
    """Run `socketio-app` with a database; return its exit status and stderr."""
    process = await asyncio.create_subprocess_exec(
        *[str(Path(sys.executable).parent / "socketio-app"), *command],
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "DATABASE_URL": url},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


@asynccontextmanager
async def role(url: str) -> AsyncIterator[str]:
    """Create a role with all privileges on the chat tables; yield its URL."""
    name = f"role_{uuid4().hex}"
    administration = await asyncpg.connect(url)
    await administration.execute(
        f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name};"
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}"
    )
    try:
        yield url.replace("postgres@", f"{name}@")
    finally:
        await administration.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await administration.close()


async def end_sessions_of(user: str, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1", user
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sslmode=disable",
        "sslmode=prefer&application_name=shop",
        "ssl=false&connect_timeout=5&target_session_attrs=read-write",
        "prepared_statement_cache_size=0",
        "pgbouncer=true&schema=public",
        "options=-csearch_path%3Dpublic%20-c%20work_mem%3D8MB",
    ],
)
async def test_migrate_and_serve_accept_parameters_of_other_libraries(query: str) -> None:
    async with postgres_database() as url:
        await migrate_and_use(f"{url}?{query}")


async def test_migrate_and_serve_accept_several_hosts() -> None:
    async with postgres_database() as url:
        await migrate_and_use(url.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1"))


@pytest.mark.parametrize(
    "query",
    [
        "schema=Chat%20room",
        'search_path="Chat room",public',
        'options=-csearch_path%3D"Chat\\%20room"',
        "schema=Chat%20room&pgbouncer=true",
    ],
)
async def test_tables_are_in_the_schema_of_the_url(query: str) -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute('CREATE SCHEMA "Chat room"')
        await connection.execute("DROP TABLE chat_alembic_version")

        await migrate_and_use(f"{url}?{query}")

        assert await connection.fetchval('SELECT count(*) FROM "Chat room".chat_message') == 1
        assert await connection.fetchval("SELECT count(*) FROM public.chat_message") == 0
        await connection.close()


@pytest.mark.parametrize("query", ["", "?schema=public", "?pgbouncer=true"])
async def test_schema_of_the_chat_is_created_and_used(query: str) -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP TABLE chat_alembic_version")
        store = PostgresStore(f"{url}{query}", rooms_per_user=10, schema='Chat "room"')

        before = [await migrate_postgres(f"{url}{query}", 'Chat "room"') for _ in range(2)]
        await store.start()
        await store.messages.append(draft(Room(LOBBY)))
        await store.close()

        assert before == [None, HEAD]
        assert await connection.fetchval('SELECT count(*) FROM "Chat ""room""".chat_message') == 1
        assert await connection.fetchval("SELECT count(*) FROM public.chat_message") == 0
        await connection.close()


async def test_migrate_prints_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    async with postgres_database() as url:
        command = ["migrate", "--database-url", f"{url}?schema=chat"]
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE SCHEMA chat")
        await connection.close()

        statuses = [await asyncio.to_thread(main, command) for _ in range(2)]

    assert statuses == [0, 0]
    assert capsys.readouterr().out == (
        f"Created the chat's tables, version {HEAD}.\n"
        f"The chat's tables are up to date: version {HEAD}.\n"
    )


async def test_schema_that_exists_needs_no_privilege_to_create_one() -> None:
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        role = f"chat_{connection.get_server_pid()}"
        await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(f"CREATE SCHEMA chat AUTHORIZATION {role}")
        login = url.replace("postgres@", f"{role}@")

        try:
            await migrate_postgres(login, "chat")
            with pytest.raises(SchemaError, match="permission denied for database"):
                await migrate_postgres(login, "other")
        finally:
            await connection.execute(f"DROP OWNED BY {role} CASCADE")
            await connection.execute(f"DROP ROLE {role}")
            await connection.close()


async def test_missing_schema_is_a_one_line_error() -> None:
    async with postgres_database() as url:
        with pytest.raises(SchemaError, match="no schema has been selected to create in"):
            await migrate_postgres(f"{url}?schema=none")
        with pytest.raises(SchemaError, match="socketio-app migrate"):
            await PostgresStore(f"{url}?schema=none", rooms_per_user=10).start()


@pytest.mark.parametrize("command", ["migrate", "serve"])
async def test_unsupported_parameter_is_a_one_line_error(command: str) -> None:
    async with postgres_database() as url:
        status, errors = await run(f"{url}?pool_size=4", command)

        assert status == 2
        assert errors.startswith(
            "socketio-app: DATABASE_URL has the parameter pool_size, which is not supported; "
        )
        assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("part", "replacement", "reason"),
    [
        ("postgres@", "no_such_role@", 'role "no_such_role" does not exist'),
        ("/chat_test", "/no_such", "database .* does not exist"),
        (r"127\.0\.0\.1", "no-such-host.invalid", "not known|resolution"),
        (r":\d+/", ":1/", "Connect call failed"),
    ],
)
async def test_unreachable_database_is_a_one_line_error(
    part: str, replacement: str, reason: str
) -> None:
    async with postgres_database() as url:
        wrong = re.sub(part, replacement, url)

        with pytest.raises(ConnectFailedError, match=reason) as started:
            await PostgresStore(wrong, rooms_per_user=10).start()
        with pytest.raises(ConnectFailedError, match=reason) as migrated:
            await migrate_postgres(wrong)

        assert str(started.value).startswith("cannot connect to the database: ")
        assert len(str(started.value).splitlines()) == 1
        assert str(started.value) == str(migrated.value)


async def require_passwords(server: Postgres) -> None:
    """Require passwords for logins over TCP."""
    rules = server._home / "data" / "pg_hba.conf"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    port = server.url.rpartition(":")[2].partition("/")[0]
    connection = await asyncpg.connect(f"postgresql://postgres@/?host={server._home}&port={port}")
    await connection.execute("ALTER ROLE postgres PASSWORD 'right'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@pytest.mark.timeout(240)
async def test_wrong_password_is_a_one_line_error_without_the_password() -> None:
    with postgres() as server:
        await migrate_postgres(server.url)
        await require_passwords(server)
        right, wrong = (server.url.replace("@", f":{each}@") for each in ("right", "wrong"))

        for command in ("serve", "migrate"):
            status, errors = await run(wrong, command)

            assert status == 2
            assert errors.splitlines()[-1:] == errors.splitlines()
            assert errors.startswith("socketio-app: cannot connect to the database: password auth")
            assert "wrong" not in errors
        await migrate_and_use(right)


async def test_store_is_unavailable_while_the_login_is_revoked() -> None:
    async with postgres_database() as url, role(url) as login:
        user = login.partition("//")[2].partition("@")[0]
        administration = await asyncpg.connect(url)
        store = PostgresStore(login, rooms_per_user=10)
        await store.start()
        await store.messages.append(draft(Room(LOBBY)))

        await administration.execute(f"ALTER ROLE {user} NOLOGIN")
        await end_sessions_of(user, administration)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await store.messages.append(draft(Room(LOBBY)))
            with pytest.raises(Unavailable):
                await store.messages.last_seq(Room(LOBBY))
        await administration.execute(f"ALTER ROLE {user} LOGIN")

        assert (await store.messages.append(draft(Room(LOBBY)))).message.seq == 2
        assert await store.messages.last_seq(Room(LOBBY)) == 2
        await store.close()
        await administration.close()


async def test_store_is_unavailable_while_a_privilege_is_revoked() -> None:
    async with postgres_database() as url, role(url) as login:
        user = login.partition("//")[2].partition("@")[0]
        administration = await asyncpg.connect(url)
        store = PostgresStore(login, rooms_per_user=10)
        await store.start()

        await administration.execute(f"REVOKE ALL ON chat_message FROM {user}")
        with pytest.raises(Unavailable):
            await store.messages.append(draft(Room(LOBBY)))
        await administration.execute(f"GRANT ALL ON chat_message TO {user}")

        assert (await store.messages.append(draft(Room(LOBBY)))).message.seq == 1
        await store.close()
        await administration.close()
