"""What the composition takes from what a store states about itself."""

import attrs
import pytest

from socketio_app.adapters.memory import MemoryStore
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.application.ports import Store
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.entrypoints import composition
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.serving import public_metrics
from socketio_app.entrypoints.settings import Settings, SettingsError
from socketio_app.entrypoints.stores import STORES
from tests.stores import HookedStore
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

SETTINGS = Settings(secret_key=SECRET)


class StatingStore(HookedStore):
    """A store of a host application."""

    def __init__(self, calls: list[str], capabilities: StoreCapabilities) -> None:
        super().__init__()
        self.capabilities = capabilities
        self._calls = calls

    async def start(self) -> None:
        self._calls.append("start")

    async def close(self) -> None:
        self._calls.append("close")


@attrs.define
class RecordingLock:
    """A worker lock that records its use."""

    calls: list[str]

    async def acquire(self, _chat: object) -> None:
        self.calls.append("acquire")

    def release(self, _chat: object) -> None:
        self.calls.append("release")


@pytest.mark.parametrize(
    ("is_persistent", "expected"),
    [(True, ["start", "close"]), (False, ["acquire", "start", "close", "release"])],
)
async def test_worker_lock_is_held_for_stores_that_are_not_persistent(
    is_persistent: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(composition, "WORKER_LOCK", RecordingLock(calls))
    store = StatingStore(calls, StoreCapabilities(is_persistent=is_persistent))
    composed = compose(SETTINGS, store=store)

    await composed.start()
    await composed.stop()
    await composed.close()

    assert calls == expected


def test_given_store_is_used_although_it_is_empty() -> None:
    class EmptyStore(StatingStore):
        def __len__(self) -> int:
            return 0

    store = EmptyStore([], StoreCapabilities())

    assert compose(SETTINGS, store=store).store is store


@pytest.mark.parametrize("runs_outside_tasks", [True, False])
def test_commands_run_outside_tasks_only_if_the_store_allows_it(runs_outside_tasks: bool) -> None:
    store = StatingStore([], StoreCapabilities(runs_outside_tasks=runs_outside_tasks))

    composed = compose(SETTINGS, store=store)

    assert composed.server.context.runs_outside_tasks is runs_outside_tasks


def test_no_path_of_another_route_can_be_that_of_plain_websockets() -> None:
    settings = SETTINGS.replace(metrics_port=SETTINGS.chat_port)
    composed = compose(settings)

    app = application(composed, more=public_metrics(composed, settings))

    paths = {getattr(route, "path", None) for route in app.routes}
    assert paths == {"/socket.io", "/healthz", "/readyz", "/metrics"}
    for path in paths:
        with pytest.raises(SettingsError):
            settings.replace(websocket_path=path)


def test_each_kind_of_store_is_named_when_a_url_names_none() -> None:
    with pytest.raises(SettingsError) as error:
        Settings(secret_key=SECRET, database_url="mysql://chat")

    reason = str(error.value)
    assert reason.startswith("DATABASE_URL must begin with memory://, ")
    assert " or postgresql://; " in reason
    assert "set CHAT_DATABASE_URL for the chat" in reason
    assert all(kind.prefix in reason for kind in STORES)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", MemoryStore),
        ("sqlite:///chat.db", SqliteStore),
        ("postgresql://chat@db/chat", PostgresStore),
        ("postgres://chat@db/chat", PostgresStore),
    ],
)
def test_store_is_the_one_that_database_url_names(url: str, expected: type[Store]) -> None:
    composed = compose(Settings(secret_key=SECRET, database_url=url))

    assert type(composed.store) is expected


def test_warning_announces_that_messages_in_memory_are_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compose(Settings(secret_key=SECRET, database_url="memory://"))
    compose(Settings(secret_key=SECRET, database_url="sqlite:///chat.db"))

    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        (
            "WARNING",
            "messages are stored in memory and lost when this process exits (DATABASE_URL)",
        )
    ]
