"""Settings: sources, valid values and error messages."""

import json
import math
import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AnyHttpUrl, AnyUrl, BaseModel, PostgresDsn, Secret, SecretStr
from sqlalchemy import make_url

from socketio_app.application.limits import DEFAULT_RATES, Limits
from socketio_app.domain.history import MAX_SEQ
from socketio_app.domain.identifiers import MAX_USER_ID_CHARS
from socketio_app.domain.rates import Rate, Rates
from socketio_app.entrypoints.composition import key_set
from socketio_app.entrypoints.settings import Settings, SettingsError, names

SECRET = "0123456789abcdef0123456789abcdef"
DSN = "postgresql+asyncpg://ada:p%40ss@db.example:5432/app"


def load(**environ: str) -> Settings:
    """Load settings from an environment, without `.env`."""
    return Settings.from_environment(environ, dotenv=None)


def load_error(**environ: str) -> str:
    """Load settings from an invalid environment; return the error message."""
    with pytest.raises(SettingsError) as refused:
        load(**environ)
    return str(refused.value)


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

        assert (settings.port, settings.jwt_issuer) == (9000, "https://issuer")

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


class TestSqliteUrl:
    @pytest.mark.parametrize(
        ("url", "file"),
        [
            ("sqlite:///chat.db", "sqlite:///chat.db"),
            ("sqlite+aiosqlite:///./chat.db", "sqlite:///./chat.db"),
            ("sqlite:////var/lib/chat.db", "sqlite:////var/lib/chat.db"),
            ("sqlite:///chat.db?timeout=5&check_same_thread=false", "sqlite:///chat.db"),
        ],
    )
    def test_driver_and_its_parameters_are_ignored(self, url: str, file: str) -> None:
        assert load(DATABASE_URL=url).database_url == file

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("sqlite://", "must name a file, as in sqlite:///chat.db, or be memory://"),
            ("sqlite:///:memory:", "must name a file, as in sqlite:///chat.db, or be memory://"),
            ("sqlite+aiosqlite:///:memory:", "must name a file, as in sqlite:///chat.db, or be m"),
            ("sqlite:///", "must name a file"),
            ("sqlite://chat.db", "must name a file"),
            ("sqlite:///?timeout=5", "must name a file"),
            ("sqlite:///file:chat.db?uri=true", "must name a file"),
            ("sqlite:///chat.db?mode=ro", "has a parameter that SQLite does not support: mode"),
        ],
    )
    def test_invalid_sqlite_url_is_rejected(self, url: str, reason: str) -> None:
        assert load_error(DATABASE_URL=url).startswith(f"DATABASE_URL {reason}")


class TestOrigins:
    @pytest.mark.parametrize(
        "given",
        [
            "https://a.example,http://b:3000",
            " https://a.example/ , http://b:3000/ ",
            '["https://a.example", "http://b:3000"]',
        ],
    )
    def test_origins_can_be_json_list_or_comma_separated(self, given: str) -> None:
        found = load(BACKEND_CORS_ORIGINS=given).backend_cors_origins

        assert found == ("https://a.example", "http://b:3000")

    @pytest.mark.parametrize(
        ("given", "sent_by_browsers"),
        [
            ("HTTPS://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80/", "http://app.example"),
            ("https://app.example:80", "https://app.example:80"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost/", "ionic://localhost"),
            ("Tauri://localhost", "tauri://localhost"),
            ("app+local://localhost:443", "app+local://localhost:443"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("moz-extension://0c5e-42-aa", "moz-extension://0c5e-42-aa"),
            ("file://", "file://"),
            ("null", "null"),
        ],
    )
    def test_origin_is_normalized_as_browsers_send_it(
        self, given: str, sent_by_browsers: str
    ) -> None:
        assert load(BACKEND_CORS_ORIGINS=given).backend_cors_origins == (sent_by_browsers,)

    def test_star_must_be_alone(self) -> None:
        assert load(BACKEND_CORS_ORIGINS="*").backend_cors_origins == ("*",)
        assert load_error(BACKEND_CORS_ORIGINS="*,https://a.example").startswith("BACKEND_CORS_ORI")

    @pytest.mark.parametrize(
        "given",
        [
            "a.example",
            "ftp://a.example",
            "wss://a.example",
            "capacitor://",
            "capacitor://localhost/path",
            "https://a.example/path",
            "https://a.example?q",
            "https://*.example",
            "https://user:password@a.example",
            "https://a.example:port",
            "https://a.example:0",
            "https://a.example:65536",
            "https://",
            '["https://a.example", null]',
            '{"https://a.example": 1}',
            "[" * 100_000,
        ],
    )
    def test_invalid_origin_is_rejected(self, given: str) -> None:
        assert load_error(BACKEND_CORS_ORIGINS=given).startswith(
            "BACKEND_CORS_ORIGINS must be a list"
        )


class TestValues:
    @pytest.mark.parametrize("name", ["ALGORITHM", "JWT_AUDIENCE"])
    def test_values_can_be_comma_separated(self, name: str) -> None:
        settings = load(**{name: "RS256, ES256"})

        assert getattr(settings, name.lower()) == ("RS256", "ES256")

    def test_default_chat_port_follows_api_port(self) -> None:
        assert load().chat_port == 8001
        assert load(PORT="9000").chat_port == 9001

    def test_chat_port_is_configurable(self) -> None:
        assert load(PORT="65535", SOCKETIO_PORT="80").chat_port == 80

    def test_port_without_next_port_is_rejected(self) -> None:
        assert (
            load_error(PORT="65535")
            == "PORT must be at most 65534 without SOCKETIO_PORT, not 65535"
        )

    @pytest.mark.parametrize("value", ["0", "65536", "-1", "80.0", "http", "9" * 5000])
    def test_invalid_port_is_rejected(self, value: str) -> None:
        assert load_error(SOCKETIO_PORT=value).startswith(
            "SOCKETIO_PORT must be a whole number from"
        )

    def test_rate_limits_can_be_disabled(self) -> None:
        assert load(RATE_LIMITS="off").limits().rates == {}
        assert load(RATE_LIMITS="on").limits().rates == DEFAULT_RATES

    def test_log_level_is_case_insensitive_name_or_number(self) -> None:
        assert load(LOG_LEVEL="WARNING").log_level == "warning"
        assert Settings.from_object(SimpleNamespace(LOG_LEVEL=30)).log_level == "warning"
        assert load_error(LOG_LEVEL="loud").startswith("LOG_LEVEL must be one of critical, error")

    def test_rates_are_passed_to_limits_with_configured_burst(self) -> None:
        limits = load(
            RATE_SEND_PER_USER="3",
            RATE_SEND_PER_CONNECTION="2",
            RATE_REFUSALS_PER_CONNECTION="4",
            RATE_REFUSALS_PER_USER="0",
            RATE_BURST_SECONDS="5",
        ).limits()

        assert limits.rates["send"] == Rates(Rate(3, 15), Rate(2, 10))
        assert (limits.refusals, limits.refusals_per_user) == (Rate(4, 20), None)

    def test_kind_without_rates_is_unlimited(self) -> None:
        limits = load(RATE_TYPING_PER_USER="0", RATE_TYPING_PER_CONNECTION="0").limits()

        assert set(DEFAULT_RATES) - set(limits.rates) == {"typing"}

    def test_connections_are_limited_unless_rate_limits_are_disabled(self) -> None:
        given = {"CONNECTIONS_PER_USER": "7"}

        assert load(**given).limits().max_connections_per_user == 7
        assert load(**given, RATE_LIMITS="off").limits().max_connections_per_user == 0
        assert load(**given, RATE_LIMITS="off").limits().refusals is None

    def test_setting_that_does_not_exist_is_rejected(self) -> None:
        with pytest.raises(TypeError, match="chat_no_such_limit"):
            Settings(chat_no_such_limit=1)

    def test_zero_lifetime_days_is_unlimited(self) -> None:
        assert load(JWT_MAX_LIFETIME_DAYS="0").jwt_max_lifetime is None
        assert load(JWT_MAX_LIFETIME_DAYS="2").jwt_max_lifetime == timedelta(days=2)

    def test_chat_settings_are_passed_to_limits(self) -> None:
        limits = load(
            CHAT_CONTENT_CHARS="1",
            CHAT_ROOMS_PER_USER="2",
            CHAT_TYPING_TTL_MS="3000",
            CHAT_TYPING_RENEW_MS="1500",
            CHAT_TYPING_ROOM_MEMBERS="4",
            CHAT_RECEIPT_ROOM_MEMBERS="5",
            CHAT_CATCH_UP_MESSAGES="6",
            CHAT_OFFLINE_PUSH="7",
            MAX_FRAME_BYTES="5000",
        ).limits()

        assert limits == Limits(
            max_content_chars=1,
            max_rooms_per_user=2,
            typing_ttl=timedelta(seconds=3),
            typing_renew=timedelta(seconds=1.5),
            max_typing_room_members=4,
            max_receipt_room_members=5,
            max_catch_up_messages=6,
            max_offline_push=7,
            max_catch_up_positions=1,
        )


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

    @pytest.mark.parametrize("name", ["JWT_KEY_FILE", "JWT_JWKS_FILE"])
    def test_key_file_overrides_secret(self, name: str, tmp_path: Path) -> None:
        settings = load(**{"SECRET_KEY": "short", name: str(tmp_path / "missing")})

        with pytest.raises(SettingsError, match=f"^{name} cannot be read"):
            key_set(settings)

    def test_missing_key_is_reported(self) -> None:
        with pytest.raises(SettingsError, match=r"^SECRET_KEY is not set: .*openssl.*--dev$"):
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
