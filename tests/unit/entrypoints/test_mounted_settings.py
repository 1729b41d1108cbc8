"""The settings of a host application that the chat is mounted in."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import AnyHttpUrl, BaseModel, PostgresDsn, SecretStr

from socketio_app.entrypoints.settings import Settings, SettingsError, mounted_names, names
from socketio_app.main import create_socketio_app
from tests.tokens import SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()

OF_THE_HOST: dict[str, Any] = {
    "HOST": 5,
    "PORT": 65_535,
    "METRICS_PORT": 0,
    "LOG_FORMAT": "%(levelname)s %(message)s",
    "LOG_LEVEL": "TRACE",
    "TRUSTED_PROXIES": True,
    "DRAIN_SECONDS": "never",
}
"""Settings of a host that `socketio-app serve` would reject."""


class TemplateSettings(BaseModel):
    """The settings object of widespread FastAPI templates."""

    PROJECT_NAME: str = "the host's own"
    SECRET_KEY: SecretStr = SecretStr(SECRET)
    DATABASE_URL: PostgresDsn = PostgresDsn("postgresql+psycopg://app:secret@db:5432/app")
    BACKEND_CORS_ORIGINS: list[AnyHttpUrl] = [AnyHttpUrl("http://localhost:5173")]
    JWT_AUDIENCE: list[SecretStr] = [SecretStr("chat")]
    PING_INTERVAL_SECONDS: float = 20.5
    LOG_LEVEL: str = "WARN"
    LOG_FORMAT: str = "%(message)s"


def test_settings_object_of_a_template_is_read() -> None:
    settings = Settings.from_object(TemplateSettings(), only=mounted_names())

    assert settings.secret_key == SECRET
    assert settings.database_url == "postgresql://app:secret@db:5432/app"
    assert settings.backend_cors_origins == ("http://localhost:5173",)
    assert settings.jwt_audience == ("chat",)
    assert settings.ping_interval_seconds == 20.5


def test_chat_starts_with_the_settings_object_of_a_template() -> None:
    create_socketio_app(settings=TemplateSettings())


@pytest.mark.parametrize("name", OF_THE_HOST)
def test_setting_of_the_server_alone_is_not_read_from_a_host(name: str) -> None:
    host = {"SECRET_KEY": SECRET, name: OF_THE_HOST[name]}

    create_socketio_app(settings=host)

    with pytest.raises(SettingsError, match=rf"^{name} "):
        Settings.from_object(host)


def test_setting_of_the_server_alone_is_not_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"SECRET_KEY={SECRET}\nLOG_LEVEL=TRACE\n")
    monkeypatch.setenv("LOG_FORMAT", "%(message)s")

    create_socketio_app()


def test_settings_of_the_server_alone_are_documented() -> None:
    (listed,) = re.findall(r"A mounted chat does not read (.*?), which", PAGE, re.DOTALL)

    assert re.findall("[A-Z_]{3,}", listed) == [
        name for name in names() if name not in mounted_names()
    ]


def test_missing_key_of_a_mounted_chat_advises_nothing_for_the_command_line() -> None:
    with pytest.raises(SettingsError) as error:
        create_socketio_app(settings={})

    assert str(error.value).startswith("SECRET_KEY is not set: ")
    assert "--dev" not in str(error.value)
