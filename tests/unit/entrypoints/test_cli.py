"""The command line, without running the server."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.adapters.system import SystemClock
from socketio_app.application.ports import Identity
from socketio_app.entrypoints import serving
from socketio_app.entrypoints.cli import main
from socketio_app.entrypoints.settings import Settings, names
from socketio_app.entrypoints.verifiers import jwt_verifier

SECRET = "0123456789abcdef0123456789abcdef"
COMMAND = [str(Path(sys.executable).parent / "socketio-app")]
SERVER_MODULE = [sys.executable, "-m", "socketio_app.server"]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings, in a folder without a `.env`."""
    for name in names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


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


def identity_of(token: str, settings: Settings) -> Identity:
    """Return the identity that a server with these settings reads from a token."""
    return asyncio.run(jwt_verifier(settings, SystemClock()).verify(token))


def hours_from_now(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - SystemClock().now()) / timedelta(hours=1)


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


class TestMigrate:
    @pytest.mark.parametrize(
        ("url", "printed"),
        [
            ("memory://", "Nothing to migrate: messages are stored in memory (DATABASE_URL).\n"),
            (
                "sqlite+aiosqlite:///./chat.db",
                "Nothing to migrate: a server migrates ./chat.db when it starts.\n",
            ),
        ],
    )
    def test_other_stores_need_none(
        self, url: str, printed: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["migrate", "--database-url", url]) == 0
        assert capsys.readouterr().out == printed

    def test_option_overrides_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "mysql://db/app")
        monkeypatch.setenv("PORT", "of the host")

        assert main(["migrate", "--database-url", "sqlite:///option.db"]) == 0
        assert "option.db" in capsys.readouterr().out

    def test_invalid_url_is_a_one_line_error_that_names_the_option(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = rejected(capsys, "migrate", "--database-url", "mysql://db")

        assert shown.startswith("--database-url must begin with ")

    @pytest.mark.parametrize(
        "name", ["settings", "Settings", "get_settings", "cached_settings", "holder.settings"]
    )
    def test_settings_object_of_an_application_is_imported(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        module = f"config_{name.partition('.')[0].lower()}"
        (tmp_path / f"{module}.py").write_text(HOST_CONFIG)

        assert main(["migrate", "--settings", f"{module}:{name}"]) == 0
        assert "host.db" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("settings", "must be a name such as app.config:settings"),
            ("no_such_module:settings", "cannot be imported: No module named 'no_such_module'"),
            ("os:no_such_name", "does not exist: module 'os' has no attribute 'no_such_name'"),
            ("secrets:token_hex.settings", "does not exist: "),
            ("os:getpriority", "cannot be imported: it raised TypeError"),
        ],
    )
    def test_object_that_cannot_be_imported_is_a_one_line_error(
        self, name: str, reason: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = rejected(capsys, "migrate", "--settings", name)

        assert shown.startswith(f"--settings {name} {reason}")

    def test_invalid_setting_of_an_application_is_a_one_line_error(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mysql_config.py").write_text("settings = {'DATABASE_URL': 'mysql://db'}\n")

        shown = rejected(capsys, "migrate", "--settings", "mysql_config:settings")

        assert shown.startswith("DATABASE_URL must begin with ")


HOST_CONFIG = """
from functools import lru_cache


class Settings:
    DATABASE_URL = "sqlite:///host.db"


def get_settings():
    return Settings()


@lru_cache
def cached_settings():
    return Settings()


settings = Settings()


class holder:
    settings = settings
"""


async def start_and_close(store: SqliteStore) -> None:
    await store.start()
    await store.close()


class TestToken:
    def test_only_token_is_printed(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        status = main(["token", "ada", "--hours", "2"])

        printed = capsys.readouterr()
        identity = identity_of(printed.out.removesuffix("\n"), Settings(secret_key=SECRET))
        assert (status, identity.user_id, printed.err) == (0, "ada", "")
        assert 1.9 < hours_from_now(identity.expires_at) < 2.01

    def test_token_has_configured_issuer_and_audience(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)
        monkeypatch.setenv("JWT_ISSUER", "https://issuer,https://other")
        monkeypatch.setenv("JWT_AUDIENCE", "chat,other")

        main(["token", "ada"])

        settings = Settings(
            secret_key=SECRET, jwt_issuer=("https://issuer",), jwt_audience=("chat",)
        )
        assert identity_of(capsys.readouterr().out.strip(), settings).user_id == "ada"

    def test_private_key_file_signs_token(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "private.pem"
        path.write_bytes(private_pem())
        monkeypatch.setenv("JWT_KEY_FILE", str(path))
        monkeypatch.setenv("ALGORITHM", "ES256")

        main(["token", "ada"])

        settings = Settings(jwt_key_file=path, algorithm=("ES256",))
        assert identity_of(capsys.readouterr().out.strip(), settings).user_id == "ada"

    def test_public_key_file_is_rejected(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "public.pem"
        path.write_bytes(public_pem())
        monkeypatch.setenv("JWT_KEY_FILE", str(path))
        monkeypatch.setenv("ALGORITHM", "ES256")

        assert rejected(capsys, "token", "ada").startswith("cannot sign tokens")

    def test_published_keys_sign_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWT_JWKS_URL", "https://issuer.example/jwks.json")
        monkeypatch.setenv("ALGORITHM", "RS256")

        assert rejected(capsys, "token", "ada").startswith("cannot sign tokens with the configured")

    def test_missing_key_is_reported(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert rejected(capsys, "token", "ada").startswith("SECRET_KEY is not set: ")

    @pytest.mark.parametrize("user", ["", "x" * 129, "\udcff"])
    def test_invalid_user_id_is_rejected(
        self, capsys: pytest.CaptureFixture[str], user: str
    ) -> None:
        assert rejected(capsys, "token", user).startswith("user_id ")

    @pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e8", "8785"])
    def test_lifetime_that_server_rejects_is_rejected(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hours: str
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        message = rejected(capsys, "token", "ada", f"--hours={hours}")

        assert message.startswith(
            "--hours must be greater than 0 and at most 8784 (JWT_MAX_LIFETIME"
        )

    def test_unlimited_lifetime_is_capped_at_a_century(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)
        monkeypatch.setenv("JWT_MAX_LIFETIME_DAYS", "0")

        assert main(["token", "ada", "--hours=876000"]) == 0
        capsys.readouterr()
        assert rejected(capsys, "token", "ada", "--hours=876001").startswith("--hours must be")


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails with status 2; return its error, which is one line on stderr."""
    status = main(arguments)
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    return printed.err.removeprefix("socketio-app: ")


KEY = ec.generate_private_key(ec.SECP256R1())


def private_pem() -> bytes:
    return KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem() -> bytes:
    return KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
