"""Backups of a SQLite file are complete, and finish while messages are stored."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from socketio_app.adapters.sql.sqlite.backup import back_up
from socketio_app.adapters.sql.sqlite.file import StoreFileError
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.domain.conversations import Room
from socketio_app.domain.history import Window
from tests.builders import LOBBY, draft

pytestmark = pytest.mark.anyio

ROOM = Room(LOBBY)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
    await store.start()
    yield store
    await store.close()


async def test_copy_made_under_load_has_no_gaps(store: SqliteStore, tmp_path: Path) -> None:
    for _ in range(20):
        await asyncio.gather(
            *[store.messages.append(draft(ROOM, content="x" * 4000)) for _ in range(50)]
        )
    stored_before, writing = 1000, True

    async def write() -> None:
        while writing:
            await store.messages.append(draft(ROOM))

    traffic = asyncio.create_task(write())
    await asyncio.to_thread(back_up, tmp_path / "chat.db", tmp_path / "copy.db")
    writing = False
    await traffic

    copy = SqliteStore(tmp_path / "copy.db", rooms_per_user=10)
    await copy.start()
    last_seq = await copy.messages.last_seq(ROOM)
    assert stored_before <= last_seq <= await store.messages.last_seq(ROOM)
    page = await copy.messages.page(ROOM, Window(limit=200))
    assert [message.seq for message in page.messages] == [*range(last_seq - 199, last_seq + 1)]
    assert copy.epoch != store.epoch
    assert (await copy.messages.append(draft(ROOM))).message.seq == last_seq + 1
    await copy.close()


async def test_copy_of_a_closed_store_is_complete(store: SqliteStore, tmp_path: Path) -> None:
    await store.messages.append(draft(ROOM))
    await store.close()

    back_up(tmp_path / "chat.db", tmp_path / "copy.db")

    copy = SqliteStore(tmp_path / "copy.db", rooms_per_user=10)
    await copy.start()
    assert await copy.messages.last_seq(ROOM) == 1
    await copy.close()


async def test_copy_is_readable_by_its_owner_only(store: SqliteStore, tmp_path: Path) -> None:
    del store
    back_up(tmp_path / "chat.db", tmp_path / "copy.db")

    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert not [*tmp_path.glob("copy.db?*")]


async def test_existing_copy_is_not_overwritten(store: SqliteStore, tmp_path: Path) -> None:
    del store
    (tmp_path / "copy.db").write_text("the copy of yesterday")

    with pytest.raises(StoreFileError, match="already exists"):
        back_up(tmp_path / "chat.db", tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "the copy of yesterday"


@pytest.mark.parametrize(
    ("source", "copy", "reason"),
    [
        ("nowhere.db", "copy.db", "nowhere.db does not exist"),
        ("chat.db", "nowhere/copy.db", "cannot write .*: No such file or directory"),
        ("minutes.txt", "copy.db", "cannot use .*: file is not a database"),
    ],
)
async def test_failed_backup_is_a_one_line_error_and_leaves_no_files(
    store: SqliteStore, tmp_path: Path, source: str, copy: str, reason: str
) -> None:
    del store
    (tmp_path / "minutes.txt").write_text("minutes of a meeting\n" * 100)

    with pytest.raises(StoreFileError, match=reason):
        back_up(tmp_path / source, tmp_path / copy)

    assert not [*tmp_path.glob("copy.db*")]
