"""Settings: sources, consistency and error messages."""

import json
import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AnyHttpUrl, AnyUrl, BaseModel, PostgresDsn, Secret, SecretStr
from sqlalchemy import make_url

from socketio_app.application.limits import Limits
from socketio_app.domain.history import MAX_SEQ
from socketio_app.domain.identifiers import MAX_USER_ID_CHARS
from socketio_app.entrypoints.settings import Settings, SettingsError, names
from socketio_app.entrypoints.verifiers import key_set, key_source

SECRET = "0123456789abcdef0123456789abcdef"

DSN = "postgresql+asyncpg://ada:p%40ss@db.example:5432/app"


def load(**environ: str) -> Settings:
    """Load settings from an environment, without `.env`."""
    return Settings.from_environment(environ, dotenv=None)


def load_error(**environ: str) -> str:
    """Load settings from an invalid environment; return the error message."""
    with pytest.raises(SettingsError) as rejected:
        load(**environ)
    return str(rejected.value)


class TestDefaults:
    def test_no_setting_is_required(self) -> None:
        settings = load()

        assert settings == Settings()
        assert not settings.has_key_source

    def test_default_limits_match_application(self) -> None:
        positions_in_frame = 39

        assert load().limits() == Limits(max_catch_up_positions=positions_in_frame)

    def test_defaults_are_valid_values(self) -> None:
        settings = Settings()

        assert Settings(**attrs.asdict(settings, recurse=False)) == settings

    def test_every_setting_has_description(self) -> None:
        assert all(field.metadata["meaning"].endswith(".") for field in attrs.fields(Settings))

    def test_settings_are_immutable(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Settings().port = 1  # type: ignore[misc]  # which is what is tested


class TestEnvironmentAndFile:
    @pytest.fixture
    def dotenv(self, tmp_path: Path) -> Path:
        return tmp_path / ".env"

    def test_dotenv_is_read(self, dotenv: Path) -> None:
        dotenv.write_text('# comment\nPORT=9000\nexport JWT_ISSUER="https://issuer"\n')

        settings = Settings.from_environment({}, dotenv)

        assert (settings.port, settings.jwt_issuer) == (9000, ("https://issuer",))

    def test_missing_dotenv_is_ignored(self, dotenv: Path) -> None:
        assert Settings.from_environment({}, dotenv) == Settings()

    def test_environment_overrides_dotenv(self, dotenv: Path) -> None:
        dotenv.write_text("PORT=9000\n")

        assert Settings.from_environment({"PORT": "9100"}, dotenv).port == 9100

    def test_empty_value_in_environment_is_unset(self, dotenv: Path) -> None:
        dotenv.write_text("PORT=9000\n")

        assert Settings.from_environment({"PORT": ""}, dotenv).port == 9000

    @pytest.mark.parametrize("line", ["PORT=", "PORT"])
    def test_empty_value_in_dotenv_is_unset(self, dotenv: Path, line: str) -> None:
        dotenv.write_text(line)

        assert Settings.from_environment({}, dotenv).port == 8000

    def test_dotenv_is_not_interpolated(self, dotenv: Path) -> None:
        dotenv.write_text("SECRET_KEY=ab${HOME}cd\n")

        assert Settings.from_environment({"HOME": "/x"}, dotenv).secret_key == "ab${HOME}cd"

    def test_reading_dotenv_does_not_change_environment(self, dotenv: Path) -> None:
        before = dict(os.environ)
        dotenv.write_text("CHAT_OFFLINE_PUSH=7\n")

        Settings.from_environment({}, dotenv)

        assert dict(os.environ) == before

    def test_dotenv_that_is_not_utf_8_is_rejected(self, dotenv: Path) -> None:
        dotenv.write_bytes(b"HOST=\xff\n")

        with pytest.raises(SettingsError, match=r"\.env cannot be read: it is not UTF-8$"):
            Settings.from_environment({}, dotenv)

    def test_unknown_names_are_ignored(self) -> None:
        assert load(PATH="/bin", REDIS_URL="x", port="9") == Settings()


class TestHostObject:
    def test_upper_case_attributes_are_read(self) -> None:
        class Host:
            PORT = 9000

        assert Settings.from_object(Host()).port == 9000

    def test_lower_case_attributes_are_read(self) -> None:
        class Host:
            port = 9000

        assert Settings.from_object(Host()).port == 9000

    def test_upper_case_overrides_lower_case(self) -> None:
        class Host:
            port = 9000
            PORT = 9100

        assert Settings.from_object(Host()).port == 9100

    @pytest.mark.parametrize("name", ["PORT", "port"])
    def test_keys_of_mapping_are_read(self, name: str) -> None:
        assert Settings.from_object({name: 9000}).port == 9000

    def test_none_is_unset(self) -> None:
        class Host:
            PORT = None
            port = None

        assert Settings.from_object(Host()).port == 8000

    def test_missing_attributes_take_defaults(self) -> None:
        assert Settings.from_object(object()) == Settings()

    def test_pydantic_model_is_read(self) -> None:
        class Host(BaseModel):
            SECRET_KEY: SecretStr = SecretStr(SECRET)
            BACKEND_CORS_ORIGINS: list[AnyHttpUrl] = [
                AnyHttpUrl("http://localhost:3000"),
                AnyHttpUrl("https://app.example.com"),
            ]
            PROJECT_NAME: str = "the host's own"

        settings = Settings.from_object(Host())

        assert settings.secret_key == SECRET
        assert settings.backend_cors_origins == ("http://localhost:3000", "https://app.example.com")

    @pytest.mark.parametrize(
        "wrapped",
        [
            pytest.param(PostgresDsn(DSN), id="PostgresDsn"),
            pytest.param(AnyUrl(DSN), id="AnyUrl"),
            pytest.param(SecretStr(DSN), id="SecretStr"),
            pytest.param(Secret[PostgresDsn](PostgresDsn(DSN)), id="Secret around PostgresDsn"),
            pytest.param(make_url(DSN), id="SQLAlchemy URL"),
        ],
    )
    def test_database_url_can_be_url_object(self, wrapped: object) -> None:
        class Host:
            DATABASE_URL = wrapped

        assert Settings.from_object(Host()).database_url == DSN.replace("+asyncpg", "")

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [(30.0, 30), (2.5, 2.5), ("2.5", 2.5), (timedelta(seconds=90), 90), ("40", 40)],
    )
    def test_seconds_can_be_number_or_timedelta(self, given: object, seconds: float) -> None:
        class Host:
            PING_INTERVAL_SECONDS = given

        assert Settings.from_object(Host()).ping_interval_seconds == seconds

    @pytest.mark.parametrize("given", [0, 3601, -1, math.nan, math.inf, True, "soon", 10**400, []])
    def test_invalid_seconds_are_rejected(self, given: object) -> None:
        class Host:
            PING_INTERVAL_SECONDS = given

        with pytest.raises(SettingsError, match=r"^PING_INTERVAL_SECONDS must be a number of sec"):
            Settings.from_object(Host())

    def test_integer_can_be_whole_float(self) -> None:
        class Host:
            PORT = 8000.0

        assert Settings.from_object(Host()).port == 8000

    def test_error_of_attribute_names_setting(self) -> None:
        class Host:
            port = 8000.5

        with pytest.raises(SettingsError, match=r"^PORT must be a whole number .*, not 8000\.5$"):
            Settings.from_object(Host())


class TestTogether:
    def test_typing_renewal_must_be_shorter_than_ttl(self) -> None:
        shown = load_error(CHAT_TYPING_TTL_MS="3000", CHAT_TYPING_RENEW_MS="3000")

        assert shown == "CHAT_TYPING_RENEW_MS must be less than CHAT_TYPING_TTL_MS"

    @given(chars=st.integers(1, 100_000))
    def test_longest_message_must_fit_in_frame(self, chars: int) -> None:
        message = ["send_personal_message", {"to_user_id": "\x7f" * 128, "content": "😀" * chars}]
        frame = len(json.dumps(message))

        with pytest.raises(SettingsError, match=r"^MAX_FRAME_BYTES must be at least"):
            Settings(chat_content_chars=chars, max_frame_bytes=max(1024, frame - 1))

    @given(chars=st.integers(1, 10_000))
    def test_maximum_number_of_positions_fits_in_frame(self, chars: int) -> None:
        enough = str(chars * 12 + 4096)
        settings = load(CHAT_CONTENT_CHARS=str(chars), MAX_FRAME_BYTES=enough)
        position = {"target": {"to_user_id": "😀" * MAX_USER_ID_CHARS}, "seq": MAX_SEQ}

        positions = settings.limits().max_catch_up_positions
        command = {"epoch": "e" * 64, "positions": [position] * positions, "limit": 200}

        assert positions > 0
        assert len("42999" + json.dumps(["catch_up", command])) <= settings.max_frame_bytes

    def test_suggested_frame_size_is_sufficient(self) -> None:
        shown = load_error(CHAT_CONTENT_CHARS="10000")

        enough = shown.partition("at least ")[2].partition(",")[0]

        settings = load(CHAT_CONTENT_CHARS="10000", MAX_FRAME_BYTES=enough)
        assert settings.limits().max_content_chars == 10_000

    def test_key_files_are_mutually_exclusive(self) -> None:
        assert "mutually exclusive" in load_error(JWT_KEY_FILE="a.pem", JWT_JWKS_FILE="b.json")

    def test_url_of_keys_excludes_key_files(self) -> None:
        shown = load_error(JWT_JWKS_FILE="b.json", JWT_JWKS_URL="https://issuer.example")

        assert shown == "JWT_JWKS_FILE and JWT_JWKS_URL are mutually exclusive"

    def test_url_of_keys_overrides_secret(self) -> None:
        settings = load(SECRET_KEY=SECRET, JWT_JWKS_URL="https://issuer.example/jwks.json")

        with pytest.raises(SettingsError, match=r"^JWT_JWKS_URL is unusable: ALGORITHM must be"):
            key_source(settings)

    @pytest.mark.parametrize("name", ["JWT_KEY_FILE", "JWT_JWKS_FILE"])
    def test_key_file_overrides_secret(self, name: str, tmp_path: Path) -> None:
        settings = load(**{"SECRET_KEY": "short", name: str(tmp_path / "missing")})

        with pytest.raises(SettingsError, match=f"^{name} cannot be read"):
            key_set(settings)

    def test_missing_key_is_reported(self) -> None:
        with pytest.raises(SettingsError, match=r"^SECRET_KEY is not set: .*openssl"):
            key_set(Settings())


class TestSecrets:
    def test_secret_is_not_in_repr(self) -> None:
        assert SECRET not in repr(load(SECRET_KEY=SECRET))

    def test_rejected_secret_is_not_in_message(self) -> None:
        assert load_error(SECRET_KEY="hush\udcff") == "SECRET_KEY must be text"

    @pytest.mark.parametrize("name", ["JWT_KEY_FILE", "JWT_JWKS_FILE", "PORT"])
    @pytest.mark.parametrize(
        "key", ["-----BEGIN PRIVATE KEY-----\nhush\n", "-----BEGIN KEY-----hush", '{"k": "hush"}']
    )
    def test_key_instead_of_path_is_not_in_message(self, name: str, key: str) -> None:
        shown = load_error(**{name: key})

        assert shown.startswith(f"{name} must be")
        assert "hush" not in shown


def likely_values() -> st.SearchStrategy[str]:
    """Arbitrary text, and values that are almost valid."""
    nearly = ["*", "[", '["a"]', "on", "65535", "8000.0", "https://a.example:x", "a\nb", "\udcff"]
    return st.one_of(st.text(), st.integers().map(str), st.sampled_from(nearly))


@given(environ=st.dictionaries(st.sampled_from(names()), likely_values(), max_size=4))
@example(environ={"JWT_AUDIENCE": "[" * 100_000})
@example(environ={"JWT_KEY_FILE": "a\0b"})
def test_error_of_any_environment_is_one_line_with_name(
    environ: dict[str, str],
) -> None:
    try:
        Settings.from_environment(environ, dotenv=None)
    except SettingsError as error:
        shown = str(error)
    else:
        return

    assert shown.partition(" ")[0] in names()
    assert len(shown.splitlines()) == 1


@given(
    value=st.one_of(st.none(), st.booleans(), st.floats(), st.binary(), st.lists(st.integers())),
    name=st.sampled_from(names()),
)
def test_error_of_any_attribute_is_one_line_with_name(name: str, value: Any) -> None:
    host = type("Host", (), {name: value})()

    try:
        Settings.from_object(host)
    except SettingsError as error:
        shown = str(error)
    else:
        return

    assert shown.partition(" ")[0] in names()
    assert len(shown.splitlines()) == 1
