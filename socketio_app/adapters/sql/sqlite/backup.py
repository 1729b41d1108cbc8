"""Copies a SQLite store to another file while a server writes to it.

SQLite's own online backup (`.backup`) starts again whenever another process has written, and never
ends under traffic. `VACUUM INTO` reads one snapshot, which delays no writer.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from socketio_app.adapters.sql.sqlite.file import StoreFileError, clear_errors


def back_up(path: Path, copy: Path) -> None:
    """Copy the store; the copy is complete and on the disk, or is not there.

    The copy has an epoch of its own: messages that clients have seen may be missing from it, and
    the new epoch tells them to load anew once it is served.

    Raises:
        StoreFileError: There is no store, the copy exists, or it cannot be written.
    """
    if not path.is_file():
        raise StoreFileError(f"{path} does not exist")
    if copy.exists():
        raise StoreFileError(f"{copy} exists already")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        _create(unfinished)
        with clear_errors(path):
            _copy(path, unfinished)
            _begin_epoch(unfinished)
        _flush(unfinished)
        unfinished.rename(copy)
        _flush(copy.parent)
    except OSError as error:
        raise StoreFileError(f"{copy} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _create(unfinished: Path) -> None:
    """Make an empty file that only this user can read."""
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _copy(path: Path, unfinished: Path) -> None:
    # A connection that can write would move the log into the file when it closes as the last one.
    source = f"file:{quote(str(path.resolve()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(source, uri=True, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(unfinished),))


def _begin_epoch(unfinished: Path) -> None:
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute("UPDATE chat_store SET epoch = ?", (uuid4().hex,))


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
