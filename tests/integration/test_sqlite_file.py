"""SQLite files: ownership by one process, and one-line errors for unusable files."""

import asyncio
import sqlite3
import stat
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from socketio_app.adapters.sql.sqlite.file import LOG_BYTES, StoreFileError, StoreInUseError
from socketio_app.adapters.sql.sqlite.readers import READERS
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.domain.conversations import Room
from tests.builders import LOBBY, draft

pytestmark = pytest.mark.anyio

ROOM = Room(LOBBY)


def store_at(path: Path) -> SqliteStore:
    return SqliteStore(path, rooms_per_user=10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = store_at(path)
    await store.start()
    yield store
    await store.close()


async def rejection(path: Path) -> str:
    """Return the one-line error of `start`, and check that no thread is left."""
    threads = threading.active_count()
    with pytest.raises(StoreFileError) as error:
        await store_at(path).start()
    assert threading.active_count() <= threads
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


class TestUnusableFiles:
    async def test_missing_directory_is_rejected(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "chat.db"

        assert await rejection(path) == f"cannot open {path}: no such directory: {path.parent}"

    async def test_directory_is_rejected(self, tmp_path: Path) -> None:
        assert await rejection(tmp_path) == f"cannot open {tmp_path}: Is a directory"

    async def test_file_that_is_not_a_database_is_rejected(self, path: Path) -> None:
        path.write_text("minutes of a meeting\n" * 100)

        assert await rejection(path) == f"cannot use {path}: file is not a database"

    async def test_file_that_another_program_has_locked_is_rejected(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("socketio_app.adapters.sql.sqlite.file.LOCK_TIMEOUT_SECONDS", 0.05)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")

        assert await rejection(path) == f"cannot use {path}: database is locked"

        other.execute("ROLLBACK")
        other.close()

    async def test_read_only_file_is_rejected(self) -> None:
        """Run as another user if the tests run as root, who can write to any file."""
        with tempfile.TemporaryDirectory(prefix="chat-") as directory:
            path = Path(directory) / "chat.db"
            lock = Path(directory) / "chat.db-owner"
            store = store_at(path)
            await store.start()
            await store.close()
            lock.unlink()
            path.chmod(0o444)
            path.parent.chmod(0o777)

            last_line = (await self.errors_of_another_user(path)).splitlines()[-1]

            assert last_line.endswith(f"cannot open {path}: Permission denied")
            assert lock.exists()  # so it was the database that could not be opened

    async def errors_of_another_user(self, path: Path) -> str:
        program = """
import asyncio, os, sys
from pathlib import Path
from socketio_app.adapters.sql.sqlite.store import SqliteStore

if os.geteuid() == 0:
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
asyncio.run(SqliteStore(Path(sys.argv[1]), 10).start())
"""

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(path), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
        return errors.decode()

    async def test_store_can_start_after_the_file_was_repaired(self, path: Path) -> None:
        store = store_at(path)
        path.write_text("minutes of a meeting\n" * 100)
        with pytest.raises(StoreFileError):
            await store.start()

        path.unlink()
        await store.start()

        assert (await store.messages.append(draft(ROOM))).message.seq == 1
        await store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="requires open file description locks")
class TestOwnership:
    @pytest.mark.parametrize(
        "alias",
        [
            pytest.param(lambda path, other: other.symlink_to(path), id="symbolic link"),
            pytest.param(lambda path, other: other.hardlink_to(path), id="hard link"),
        ],
    )
    async def test_link_to_the_file_does_not_bypass_ownership(
        self, store: SqliteStore, path: Path, alias: Callable[[Path, Path], None]
    ) -> None:
        del store
        other = path.with_name("other.db")
        alias(path, other)

        with pytest.raises(StoreInUseError, match="in use by another process"):
            await store_at(other).start()

    async def test_removing_the_lock_file_does_not_bypass_ownership(
        self, store: SqliteStore, path: Path
    ) -> None:
        del store
        path.with_name("chat.db-owner").unlink()

        with pytest.raises(StoreInUseError, match="in use by another process"):
            await store_at(path).start()

    async def test_owner_can_write_after_another_process_was_rejected(
        self, store: SqliteStore, path: Path
    ) -> None:
        """Closing a file releases the POSIX locks that SQLite holds on it in the process."""
        with pytest.raises(StoreInUseError):
            await store_at(path).start()

        assert (await store.messages.append(draft(ROOM))).message.seq == 1
        assert await store.messages.last_seq(ROOM) == 1

    async def test_other_programs_can_read(self, store: SqliteStore, path: Path) -> None:
        await store.messages.append(draft(ROOM))
        program = (
            "import sqlite3, sys\n"
            "print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM chat_message')"
            ".fetchone()[0])"
        )

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()

        assert printed.strip() == b"1"


async def test_new_file_is_readable_by_its_owner_only(store: SqliteStore, path: Path) -> None:
    await store.messages.append(draft(ROOM))

    for name in ("chat.db", "chat.db-wal", "chat.db-shm", "chat.db-owner"):
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == 0o600


async def test_mode_of_an_existing_file_is_unchanged(path: Path) -> None:
    path.touch(0o640)
    store = store_at(path)
    await store.start()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    await store.close()


async def test_log_that_grew_because_of_a_foreign_reader_is_truncated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOG_BYTES == 64 * 1024 * 1024
    monkeypatch.setattr("socketio_app.adapters.sql.sqlite.file.LOG_BYTES", 100_000)
    monkeypatch.setattr("socketio_app.adapters.sql.sqlite.file.PAGES_BETWEEN_CHECKPOINTS", 10)
    store = store_at(path)
    await store.start()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM chat_message").fetchone()
    for _ in range(20):
        await asyncio.gather(
            *[store.messages.append(draft(ROOM, content="x" * 4000)) for _ in range(20)]
        )
    assert path.with_name("chat.db-wal").stat().st_size > 1_000_000

    reader.execute("ROLLBACK")
    reader.close()
    for _ in range(3):
        await store.messages.append(draft(ROOM, content="x" * 60_000))

    assert path.with_name("chat.db-wal").stat().st_size <= 200_000
    await store.close()


class TestReaders:
    async def test_slow_read_does_not_delay_others(self, store: SqliteStore) -> None:
        may_end = threading.Event()
        slow = [
            asyncio.ensure_future(store._readers.run(lambda _: may_end.wait(60)))
            for _ in range(READERS - 1)
        ]

        async with asyncio.timeout(60):
            assert await store.messages.last_seq(ROOM) == 0

        may_end.set()
        assert await asyncio.gather(*slow) == [True] * (READERS - 1)

    async def test_every_reader_sees_previous_commits(self, store: SqliteStore) -> None:
        for seq in range(1, 20):
            await store.messages.append(draft(ROOM))
            read = [store.messages.last_seq(ROOM) for _ in range(READERS)]
            assert await asyncio.gather(*read) == [seq] * READERS
