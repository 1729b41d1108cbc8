"""`socketio-app migrate`, on stores that need no migration, and which store it migrates."""

from pathlib import Path

import pytest

from socketio_app.entrypoints.cli import main
from tests.unit.entrypoints.command_line import rejected

pytestmark = pytest.mark.usefixtures("empty_environment")


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
