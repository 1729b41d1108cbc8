"""Commits of the host's connections are noticed, and the connections are left to the host."""

import gc
import weakref
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from socketio_app.adapters.sql.host_connections import CommitWatch
from socketio_app.application.outbox import IsOver
from socketio_app.domain.identifiers import MessageId


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


def ignore(_message_ids: Sequence[MessageId], _is_over: IsOver) -> None:
    """Do nothing."""


def test_connection_that_the_host_forgets_is_not_kept(engine: Engine) -> None:
    watch = CommitWatch(includes_rollbacks=False)

    def forget() -> "weakref.ref[Connection]":
        connection = engine.connect()
        connection.execute(text("SELECT 1"))
        watch.add(connection, MessageId("1"), ignore)
        return weakref.ref(connection)

    forgotten = forget()
    gc.collect()

    assert forgotten() is None


def test_two_phase_commit_is_noticed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite's dialect does not support two-phase commits, and gets methods that do nothing.
    monkeypatch.setattr(engine.dialect, "do_commit_twophase", lambda *_args: None, raising=False)
    monkeypatch.setattr(engine.dialect, "do_begin_twophase", lambda *_args: None, raising=False)
    noticed: list[tuple[Sequence[MessageId], IsOver]] = []
    watch = CommitWatch(includes_rollbacks=False)

    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        watch.add(connection, MessageId("1"), lambda ids, is_over: noticed.append((ids, is_over)))
        transaction.commit()

    ((message_ids, is_over),) = noticed
    assert message_ids == ["1"]
    assert is_over()
