"""The settings: where they come from, what they may be, and how a wrong one is told."""

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
from socketio_app.domain.history import LAST_SEQ_EVER
from socketio_app.domain.identifiers import USER_ID_CHARS
from socketio_app.entrypoints.composition import key_set
from socketio_app.entrypoints.settings import Settings, SettingsError, names

SECRET = "0123456789abcdef0123456789abcdef"
DSN = "postgresql+asyncpg://ada:p%40ss@db.example:5432/app"


def of(**environ: str) -> Settings:
    """The settings of an environment, without a file."""
    return Settings.from_environment(environ, dotenv=None)


def refusal(**environ: str) -> str:
    """What an environment is refused with."""
    with pytest.raises(SettingsError) as refused:
        of(**environ)
    return str(refused.value)


class TestDefaults:
    def test_nothing_has_to_be_set_to_have_settings(self) -> None:
        settings = of()

        assert settings == Settings()
        assert not settings.has_key_source

    def test_the_rules_are_those_of_the_application(self) -> None:
        assert of().limits() == Limits()

    def test_every_default_is_a_value_that_could_be_given(self) -> None:
        settings = Settings()

        assert Settings(**attrs.asdict(settings, recurse=False)) == settings

    def test_every_setting_says_what_it_is_for(self) -> None:
        assert all(field.metadata["meaning"].endswith(".") for field in attrs.fields(Settings))

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Settings().port = 1  # type: ignore[misc]  # which is what is tested


class TestEnvironmentAndFile:
    @pytest.fixture
    def dotenv(self, tmp_path: Path) -> Path:
        return tmp_path / ".env"

    def test_a_file_is_read(self, dotenv: Path) -> None:
        dotenv.write_text('# ours\nPORT=9000\nexport JWT_ISSUER="https://issuer"\n')

        settings = Settings.from_environment({}, dotenv)

        assert (settings.port, settings.jwt_issuer) == (9000, "https://issuer")

    def test_a_file_that_is_not_there_is_no_matter(self, dotenv: Path) -> None:
        assert Settings.from_environment({}, dotenv) == Settings()

    def test_the_environment_wins_over_the_file(self, dotenv: Path) -> None:
        dotenv.write_text("PORT=9000\n")

        assert Settings.from_environment({"PORT": "9100"}, dotenv).port == 9100

    def test_an_empty_value_in_the_environment_leaves_the_file_its_say(self, dotenv: Path) -> None:
        dotenv.write_text("PORT=9000\n")

        assert Settings.from_environment({"PORT": ""}, dotenv).port == 9000

    @pytest.mark.parametrize("line", ["PORT=", "PORT"])
    def test_an_empty_value_in_the_file_counts_as_not_set(self, dotenv: Path, line: str) -> None:
        dotenv.write_text(line)

        assert Settings.from_environment({}, dotenv).port == 8000

    def test_a_dollar_in_the_file_is_a_dollar(self, dotenv: Path) -> None:
        dotenv.write_text("SECRET_KEY=ab${HOME}cd\n")

        assert Settings.from_environment({"HOME": "/x"}, dotenv).secret_key == "ab${HOME}cd"

    def test_reading_the_file_leaves_the_environment_of_the_process_alone(
        self, dotenv: Path
    ) -> None:
        before = dict(os.environ)
        dotenv.write_text("CHAT_OFFLINE_PUSH=7\n")

        Settings.from_environment({}, dotenv)

        assert dict(os.environ) == before

    def test_a_file_that_is_not_utf_8_is_named(self, dotenv: Path) -> None:
        dotenv.write_bytes(b"HOST=\xff\n")

        with pytest.raises(SettingsError, match=r"\.env cannot be read: it is not UTF-8$"):
            Settings.from_environment({}, dotenv)

    def test_names_that_are_not_ours_are_ignored(self) -> None:
        assert of(PATH="/bin", REDIS_URL="x", port="9") == Settings()


class TestHostObject:
    def test_the_names_are_read_in_upper_case(self) -> None:
        class Host:
            PORT = 9000

        assert Settings.from_object(Host()).port == 9000

    def test_the_names_are_read_in_lower_case(self) -> None:
        class Host:
            port = 9000

        assert Settings.from_object(Host()).port == 9000

    def test_upper_case_wins_over_lower_case(self) -> None:
        class Host:
            port = 9000
            PORT = 9100

        assert Settings.from_object(Host()).port == 9100

    def test_none_counts_as_not_set(self) -> None:
        class Host:
            PORT = None
            port = None

        assert Settings.from_object(Host()).port == 8000

    def test_what_an_object_does_not_have_takes_its_default(self) -> None:
        assert Settings.from_object(object()) == Settings()

    def test_a_pydantic_model_of_a_fastapi_project_is_read(self) -> None:
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
    def test_database_url_may_be_a_url_object(self, wrapped: object) -> None:
        class Host:
            DATABASE_URL = wrapped

        assert Settings.from_object(Host()).database_url == DSN.replace("+asyncpg", "")

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [(30.0, 30), (2.5, 2.5), ("2.5", 2.5), (timedelta(seconds=90), 90), ("40", 40)],
    )
    def test_seconds_may_be_whole_or_fractions_or_a_timedelta(
        self, given: object, seconds: float
    ) -> None:
        class Host:
            PING_INTERVAL_SECONDS = given

        assert Settings.from_object(Host()).ping_interval_seconds == seconds

    @pytest.mark.parametrize("given", [0, 3601, -1, math.nan, math.inf, True, "soon", 10**400, []])
    def test_seconds_out_of_bounds_or_not_numbers_are_rejected(self, given: object) -> None:
        class Host:
            PING_INTERVAL_SECONDS = given

        with pytest.raises(SettingsError, match=r"^PING_INTERVAL_SECONDS must be a number of sec"):
            Settings.from_object(Host())

    def test_whole_number_may_be_a_float(self) -> None:
        class Host:
            PORT = 8000.0

        assert Settings.from_object(Host()).port == 8000

    def test_a_wrong_attribute_is_told_by_the_settings_name(self) -> None:
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
    def test_url_names_a_file_whatever_a_hosts_driver_needs(self, url: str, file: str) -> None:
        assert of(DATABASE_URL=url).database_url == file

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
    def test_url_that_names_no_file_is_refused(self, url: str, reason: str) -> None:
        assert refusal(DATABASE_URL=url).startswith(f"DATABASE_URL {reason}")


class TestOrigins:
    @pytest.mark.parametrize(
        "given",
        [
            "https://a.example,http://b:3000",
            " https://a.example/ , http://b:3000/ ",
            '["https://a.example", "http://b:3000"]',
        ],
    )
    def test_origins_are_a_json_list_or_separated_by_commas(self, given: str) -> None:
        found = of(BACKEND_CORS_ORIGINS=given).backend_cors_origins

        assert found == ("https://a.example", "http://b:3000")

    @pytest.mark.parametrize(
        ("given", "told_by_browsers"),
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
    def test_an_origin_is_kept_as_browsers_write_it(
        self, given: str, told_by_browsers: str
    ) -> None:
        assert of(BACKEND_CORS_ORIGINS=given).backend_cors_origins == (told_by_browsers,)

    def test_the_star_stands_alone(self) -> None:
        assert of(BACKEND_CORS_ORIGINS="*").backend_cors_origins == ("*",)
        assert refusal(BACKEND_CORS_ORIGINS="*,https://a.example").startswith("BACKEND_CORS_ORI")

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
    def test_what_no_browser_would_name_is_refused(self, given: str) -> None:
        assert refusal(BACKEND_CORS_ORIGINS=given).startswith("BACKEND_CORS_ORIGINS must be a list")


class TestValues:
    @pytest.mark.parametrize("name", ["ALGORITHM", "JWT_AUDIENCE"])
    def test_several_are_separated_by_commas(self, name: str) -> None:
        settings = of(**{name: "RS256, ES256"})

        assert getattr(settings, name.lower()) == ("RS256", "ES256")

    def test_the_chat_listens_on_the_port_after_the_apis(self) -> None:
        assert of().chat_port == 8001
        assert of(PORT="9000").chat_port == 9001

    def test_the_chats_port_can_be_set_outright(self) -> None:
        assert of(PORT="65535", SOCKETIO_PORT="80").chat_port == 80

    def test_a_port_without_a_next_one_is_refused(self) -> None:
        assert (
            refusal(PORT="65535") == "PORT must be at most 65534 without SOCKETIO_PORT, not 65535"
        )

    @pytest.mark.parametrize("value", ["0", "65536", "-1", "80.0", "http", "9" * 5000])
    def test_a_port_that_is_none_is_refused(self, value: str) -> None:
        assert refusal(SOCKETIO_PORT=value).startswith("SOCKETIO_PORT must be a whole number from")

    def test_without_rate_limits_nobody_is_counted(self) -> None:
        assert of(RATE_LIMITS="off").limits().rates == {}
        assert of(RATE_LIMITS="on").limits().rates == DEFAULT_RATES

    def test_a_log_level_is_one_in_any_case(self) -> None:
        assert of(LOG_LEVEL="WARNING").log_level == "warning"
        assert Settings.from_object(SimpleNamespace(LOG_LEVEL=30)).log_level == "warning"
        assert refusal(LOG_LEVEL="loud").startswith("LOG_LEVEL must be one of critical, error")

    def test_no_days_of_lifetime_are_no_limit(self) -> None:
        assert of(JWT_MAX_LIFETIME_DAYS="0").jwt_max_lifetime is None
        assert of(JWT_MAX_LIFETIME_DAYS="2").jwt_max_lifetime == timedelta(days=2)

    def test_the_numbers_of_the_chat_arrive_in_its_rules(self) -> None:
        limits = of(
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

        assert limits == Limits(1, 2, timedelta(seconds=3), timedelta(seconds=1.5), 4, 5, 6, 1, 7)


class TestTogether:
    def test_typing_is_renewed_before_it_ends(self) -> None:
        told = refusal(CHAT_TYPING_TTL_MS="3000", CHAT_TYPING_RENEW_MS="3000")

        assert told == "CHAT_TYPING_RENEW_MS must be less than CHAT_TYPING_TTL_MS"

    @given(chars=st.integers(1, 100_000))
    def test_the_longest_message_fits_the_frames_that_are_let_in(self, chars: int) -> None:
        message = ["send_personal_message", {"to_user_id": "\x7f" * 128, "content": "😀" * chars}]
        frame = len(json.dumps(message))

        with pytest.raises(SettingsError, match=r"^MAX_FRAME_BYTES must be at least"):
            Settings(chat_content_chars=chars, max_frame_bytes=max(1024, frame - 1))

    @given(chars=st.integers(1, 10_000))
    def test_the_most_positions_that_clients_may_send_fit_a_frame(self, chars: int) -> None:
        enough = str(chars * 12 + 4096)
        settings = of(CHAT_CONTENT_CHARS=str(chars), MAX_FRAME_BYTES=enough)
        position = {"target": {"to_user_id": "😀" * USER_ID_CHARS}, "seq": LAST_SEQ_EVER}

        positions = settings.limits().catch_up_positions
        command = {"epoch": "e" * 64, "positions": [position] * positions, "limit": 200}

        assert positions > 0
        assert len("42999" + json.dumps(["catch_up", command])) <= settings.max_frame_bytes

    def test_the_frame_size_that_is_asked_for_is_enough(self) -> None:
        told = refusal(CHAT_CONTENT_CHARS="10000")

        enough = told.partition("at least ")[2].partition(",")[0]

        assert of(CHAT_CONTENT_CHARS="10000", MAX_FRAME_BYTES=enough).chat_content_chars == 10_000

    def test_two_files_of_keys_are_one_too_many(self) -> None:
        assert "both set" in refusal(JWT_KEY_FILE="a.pem", JWT_JWKS_FILE="b.json")

    @pytest.mark.parametrize("name", ["JWT_KEY_FILE", "JWT_JWKS_FILE"])
    def test_a_file_wins_over_a_secret_that_the_host_has_for_something_else(
        self, name: str, tmp_path: Path
    ) -> None:
        settings = of(**{"SECRET_KEY": "short", name: str(tmp_path / "missing")})

        with pytest.raises(SettingsError, match=f"^{name} cannot be read"):
            key_set(settings)

    def test_without_any_key_it_is_said_what_to_do(self) -> None:
        with pytest.raises(SettingsError, match=r"^SECRET_KEY is not set: .*openssl.*--dev$"):
            key_set(Settings())


class TestSecrets:
    def test_a_representation_does_not_show_the_secret(self) -> None:
        assert SECRET not in repr(of(SECRET_KEY=SECRET))

    def test_a_secret_that_is_refused_is_not_shown(self) -> None:
        assert refusal(SECRET_KEY="hush\udcff") == "SECRET_KEY must be text"

    @pytest.mark.parametrize("name", ["JWT_KEY_FILE", "JWT_JWKS_FILE", "PORT"])
    @pytest.mark.parametrize(
        "key", ["-----BEGIN PRIVATE KEY-----\nhush\n", "-----BEGIN KEY-----hush", '{"k": "hush"}']
    )
    def test_a_key_in_the_wrong_place_is_not_shown(self, name: str, key: str) -> None:
        told = refusal(**{name: key})

        assert told.startswith(f"{name} must be")
        assert "hush" not in told


def likely_values() -> st.SearchStrategy[str]:
    """Text of all kinds, and what is nearly right."""
    nearly = ["*", "[", '["a"]', "on", "65535", "8000.0", "https://a.example:x", "a\nb", "\udcff"]
    return st.one_of(st.text(), st.integers().map(str), st.sampled_from(nearly))


@given(environ=st.dictionaries(st.sampled_from(names()), likely_values(), max_size=4))
@example(environ={"JWT_AUDIENCE": "[" * 100_000})
@example(environ={"JWT_KEY_FILE": "a\0b"})
def test_any_environment_makes_settings_or_one_line_that_begins_with_a_name(
    environ: dict[str, str],
) -> None:
    try:
        Settings.from_environment(environ, dotenv=None)
    except SettingsError as error:
        told = str(error)
    else:
        return

    assert told.partition(" ")[0] in names()
    assert len(told.splitlines()) == 1


@given(
    value=st.one_of(st.none(), st.booleans(), st.floats(), st.binary(), st.lists(st.integers())),
    name=st.sampled_from(names()),
)
def test_any_attribute_of_a_host_makes_settings_or_one_line_that_begins_with_a_name(
    name: str, value: Any
) -> None:
    host = type("Host", (), {name: value})()

    try:
        Settings.from_object(host)
    except SettingsError as error:
        told = str(error)
    else:
        return

    assert told.partition(" ")[0] in names()
    assert len(told.splitlines()) == 1
