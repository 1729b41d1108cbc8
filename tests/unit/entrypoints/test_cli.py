"""The command line, without running the server."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.entrypoints import serving
from socketio_app.entrypoints.cli import main
from socketio_app.entrypoints.settings import Settings
from tests.unit.entrypoints.command_line import hours_from_now, identity_of

pytestmark = pytest.mark.usefixtures("empty_environment")

SECRET = "0123456789abcdef0123456789abcdef"
COMMAND = [str(Path(sys.executable).parent / "socketio-app")]
SERVER_MODULE = [sys.executable, "-m", "socketio_app.server"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `serve` was called with, instead of serving."""
    received: list[Settings] = []

    def serve(settings: Settings, on_started: Callable[[], object] = lambda: None) -> None:
        received.append(settings)
        on_started()

    monkeypatch.setattr(serving, "serve", serve)
    return received


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process until it exits."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class TestProcess:
    @pytest.mark.parametrize("command", [[*COMMAND, "serve"], SERVER_MODULE])
    def test_serving_without_key_prints_one_line_error(self, command: list[str]) -> None:
        result = run(*command)

        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("socketio-app: SECRET_KEY is not set: ")
        assert result.stderr.endswith("to try out the chat, use socketio-app serve --dev\n")
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("command", [[*COMMAND, "serve"], SERVER_MODULE])
    def test_module_and_script_accept_same_options(self, command: list[str]) -> None:
        result = run(*command, "--dev", "--host", "127.0.0.1", "--port", "0")

        assert result.returncode == 2
        assert result.stderr.startswith("socketio-app: SOCKETIO_PORT must be a whole number")

    def test_invalid_setting_in_dotenv_prints_one_line_error(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("PORT=high\n")

        result = run(*COMMAND, "serve", "--dev")

        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            "socketio-app: PORT must be a whole number from 1 to 65535, not 'high'\n"
        )

    def test_short_secret_is_rejected_without_printing_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", "hush")

        result = run(*COMMAND, "serve")

        assert result.returncode == 2
        assert result.stderr.startswith("socketio-app: SECRET_KEY is unusable: it has 4 bytes")
        assert "hush" not in result.stdout + result.stderr

    def test_version_is_package_version(self) -> None:
        assert run(*COMMAND, "--version").stdout == version("socketio-app") + "\n"


class TestServing:
    def test_settings_are_read_from_environment(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        status = main(["serve"])

        assert status == 0
        assert served == [Settings(secret_key=SECRET)]

    def test_options_override_environment(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOST", "10.0.0.1")
        monkeypatch.setenv("SOCKETIO_PORT", "7000")

        main(["serve", "--host", "0.0.0.0", "--port", "9000"])  # noqa: S104  (nothing is bound)

        assert (served[0].host, served[0].chat_port) == ("0.0.0.0", 9000)  # noqa: S104  (as above)

    def test_without_dev_no_origin_is_allowed(
        self, served: list[Settings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["serve"])

        assert served[0].backend_cors_origins == ()
        assert capsys.readouterr().out == ""


class TestDevelopment:
    def test_dev_needs_no_configuration(self, served: list[Settings]) -> None:
        assert main(["serve", "--dev"]) == 0
        assert served[0].has_key_source

    def test_every_run_has_new_key(self, served: list[Settings]) -> None:
        main(["serve", "--dev"])
        main(["serve", "--dev"])

        assert served[0].secret_key != served[1].secret_key

    def test_key_is_not_printed(
        self, served: list[Settings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["serve", "--dev"])

        printed = capsys.readouterr()
        assert str(served[0].secret_key) not in printed.out + printed.err

    def test_printed_tokens_are_valid_for_a_day(
        self, served: list[Settings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["serve", "--dev"])

        tokens = re.findall(r"A token for (\w+):\n(\S+)", capsys.readouterr().out)
        identities = {user: identity_of(token, served[0]) for user, token in tokens}
        assert {user: identity.user_id for user, identity in identities.items()} == {
            "ada": "ada",
            "bob": "bob",
        }
        assert all(23.9 < hours_from_now(each.expires_at) < 24.01 for each in identities.values())

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:9000"),
            ("0.0.0.0", "http://127.0.0.1:9000"),  # noqa: S104  (nothing is bound)
            ("::1", "http://[::1]:9000"),
        ],
    )
    @pytest.mark.usefixtures("served")
    def test_instructions_contain_url(
        self, capsys: pytest.CaptureFixture[str], host: str, url: str
    ) -> None:
        main(["serve", "--dev", "--host", host, "--port", "9000"])

        lines = capsys.readouterr().out.splitlines()
        assert (
            'const { io } = await import("https://cdn.socket.io/4.8.1/socket.io.esm.min.js")'
        ) in lines
        assert any(line.startswith(f'const socket = io("{url}", {{ auth') for line in lines)

    def test_configured_key_is_used(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        main(["serve", "--dev"])

        assert served[0].secret_key == SECRET

    def test_all_origins_are_allowed_with_notice(
        self, served: list[Settings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["serve", "--dev"])

        assert served[0].backend_cors_origins == ("*",)
        assert "BACKEND_CORS_ORIGINS is not set" in capsys.readouterr().out

    def test_configured_origins_are_used(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BACKEND_CORS_ORIGINS", "https://app.example")

        main(["serve", "--dev"])

        assert served[0].backend_cors_origins == ("https://app.example",)


class TestBackup:
    def test_configured_file_is_copied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = SqliteStore(tmp_path / "chat.db", rooms_per_user=10)
        asyncio.run(start_and_close(store))
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/chat.db")

        status = main(["backup", str(tmp_path / "copy.db")])

        assert status == 0
        assert (tmp_path / "copy.db").stat().st_size > 0
        assert capsys.readouterr().out == f"Copied {tmp_path}/chat.db to {tmp_path}/copy.db.\n"

    def test_failed_backup_prints_one_line_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/nowhere.db")

        status = main(["backup", str(tmp_path / "copy.db")])

        assert status == 2
        assert capsys.readouterr().err == f"socketio-app: {tmp_path}/nowhere.db does not exist\n"

    def test_other_stores_are_rejected(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/app")

        assert main(["backup", "copy.db"]) == 2
        assert "only SQLite is supported" in capsys.readouterr().err


async def start_and_close(store: SqliteStore) -> None:
    await store.start()
    await store.close()
