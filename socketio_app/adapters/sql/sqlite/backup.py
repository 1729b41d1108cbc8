"""Backup of a SQLite store while a server writes to it.

SQLite's online backup (`.backup`) restarts whenever another process has written, and never finishes
under load. `VACUUM INTO` reads one snapshot, and delays no writer.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from socketio_app.adapters.sql.sqlite.file import StoreFileError, convert_errors


def back_up(path: Path, copy: Path) -> None:
    """Copy the store atomically: the copy is complete and flushed to disk, or does not exist.

    The copy gets a new epoch, because it may lack messages that clients have seen: once a server
    uses it, the new epoch makes clients reload.

    Raises:
        StoreFileError: the store does not exist, or the copy exists or cannot be written.
    """
    if not path.is_file():
        raise StoreFileError(f"{path} does not exist")
    if copy.exists():
        raise StoreFileError(f"{copy} already exists")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        _create(unfinished)
        with convert_errors(path):
            _copy(path, unfinished)
            _set_new_epoch(unfinished)
        _flush(unfinished)
        unfinished.rename(copy)
        _flush(copy.parent)
    except OSError as error:
        raise StoreFileError(f"cannot write {copy}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _create(unfinished: Path) -> None:
    """Create an empty file that only its owner can read."""
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _copy(path: Path, unfinished: Path) -> None:
    # Closing the last connection that can write would move the write-ahead log into the file.
    source = f"file:{quote(str(path.resolve()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(source, uri=True, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(unfinished),))


def _set_new_epoch(unfinished: Path) -> None:
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute("UPDATE chat_store SET epoch = ?", (uuid4().hex,))


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
