"""Valid and invalid values of settings."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from pydantic import AnyHttpUrl

from socketio_app.application.limits import DEFAULT_RATES, Limits
from socketio_app.domain.rates import Rate, Rates
from socketio_app.entrypoints.settings import Settings, SettingsError
from tests.unit.entrypoints.test_settings import load, load_error


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


class TestDatabaseUrl:
    @pytest.mark.parametrize(
        ("given", "normalized"),
        [
            ("MEMORY://", "memory://"),
            ("SQLite+AioSQLite:///Chat.db", "sqlite:///Chat.db"),
            ("POSTGRES://Ada@db/Chat", "postgresql://Ada@db/Chat"),
        ],
    )
    def test_scheme_is_case_insensitive(self, given: str, normalized: str) -> None:
        assert load(DATABASE_URL=given).database_url == normalized

    @pytest.mark.parametrize(
        "url",
        ["memory://x", "memory:///", "memory://?x", "memory+x://", "memory+://", "Memory+x://y"],
    )
    def test_memory_has_neither_name_nor_driver(self, url: str) -> None:
        assert load_error(DATABASE_URL=url).startswith("DATABASE_URL must be memory:// alone")

    def test_own_url_of_the_chat_wins(self) -> None:
        urls = {"DATABASE_URL": "postgresql://app", "CHAT_DATABASE_URL": "sqlite:///chat.db"}

        assert load(**urls).store_url == "sqlite:///chat.db"
        assert Settings.from_object(urls).store_url == "sqlite:///chat.db"
        assert load(DATABASE_URL="sqlite:///app.db").store_url == "sqlite:///app.db"

    @pytest.mark.parametrize(
        "url",
        [
            "mysql+aiomysql://app:secret@db/app",
            "mariadb://db/app",
            "mssql+pyodbc://db/app",
            "sqlite+aiosqlite:///:memory:",
            "postgresql://db/app?connection_limit=5",
        ],
    )
    def test_url_for_the_host_alone_is_not_read_if_the_chat_has_its_own(self, url: str) -> None:
        assert load(DATABASE_URL=url, CHAT_DATABASE_URL="memory://").store_url == "memory://"
        shown = load_error(DATABASE_URL=url)
        assert shown.startswith("DATABASE_URL ")
        assert shown.endswith("set CHAT_DATABASE_URL for the chat")
        assert "secret" not in shown

    def test_error_of_the_own_url_names_it(self) -> None:
        shown = load_error(CHAT_DATABASE_URL="mysql://db/chat")

        assert shown == ("CHAT_DATABASE_URL must begin with memory://, sqlite:/// or postgresql://")


class TestWebSocketPath:
    @pytest.mark.parametrize("path", ["", "/ws", "/chat/v1.0", "/socket.io-ws", "/healthzz"])
    def test_path_is_accepted(self, path: str) -> None:
        assert load(WEBSOCKET_PATH=path).websocket_path == path

    @pytest.mark.parametrize("path", ["ws", "/", "//ws", "/ws/", "/w s", "/ws?x", "/{ws}"])
    def test_invalid_path_is_rejected(self, path: str) -> None:
        assert load_error(WEBSOCKET_PATH=path).startswith("WEBSOCKET_PATH must be a path such as ")

    @pytest.mark.parametrize("below", ["", "/ws"])
    @pytest.mark.parametrize("path", ["/socket.io", "/healthz", "/readyz", "/metrics"])
    def test_path_of_another_route_is_rejected(self, path: str, below: str) -> None:
        assert load_error(WEBSOCKET_PATH=path + below) == (
            "WEBSOCKET_PATH must be a path such as /ws, and not below /socket.io, /healthz, "
            f"/readyz or /metrics, not '{path}{below}'"
        )


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
            ("https://*.Example.com:443/", "https://*.example.com"),
            ("https://pr-*-web.example.com", "https://pr-*-web.example.com"),
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
            "https://*",
            "https://*.example",
            "https://**.example.com",
            "https://*.*.example.com",
            "https://app.*.example.com",
            "https://example.*",
            "https://*example.com",
            "https://*.example.com:*",
            "*://*.example.com",
            "*.example.com",
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
    @pytest.mark.parametrize("name", ["ALGORITHM", "JWT_AUDIENCE", "JWT_ISSUER"])
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
        assert load(LOG_LEVEL="WARN").log_level == "warning"
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
        with pytest.raises(SettingsError, match=r"^chat_no_such_limit is not a setting"):
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


class TestUrlOfKeys:
    @pytest.mark.parametrize(
        "url",
        [
            "https://issuer.example/.well-known/jwks.json",
            "http://keycloak:8080/realms/app/protocol/openid-connect/certs?v=1",
            AnyHttpUrl("https://issuer.example/jwks.json"),
        ],
    )
    def test_url_of_a_web_server_is_accepted(self, url: object) -> None:
        assert Settings(jwt_jwks_url=url).jwt_jwks_url == str(url)

    @pytest.mark.parametrize(
        "url",
        [
            "issuer.example/jwks.json",
            "file:///etc/jwks.json",
            "ftp://issuer.example/jwks.json",
            "https://user:password@issuer.example/",
            "https:///jwks.json",
            "https://issuer.example/a b",
            "https://issuer.example/\r\nHost: evil",
        ],
    )
    def test_other_url_is_rejected(self, url: str) -> None:
        with pytest.raises(SettingsError, match=r"^JWT_JWKS_URL must be a URL such as https://"):
            Settings(jwt_jwks_url=url)


class TestSchema:
    @pytest.mark.parametrize("name", ["chat", "Chat room", "x" * 63])
    def test_name_of_a_schema_is_accepted(self, name: str) -> None:
        assert load(CHAT_DATABASE_SCHEMA=name).chat_database_schema == name

    @pytest.mark.parametrize("name", ["x" * 64, "ä" * 32, "pg_chat", "a\nb"])
    def test_name_that_postgresql_would_change_or_reject_is_rejected(self, name: str) -> None:
        assert load_error(CHAT_DATABASE_SCHEMA=name).startswith(
            "CHAT_DATABASE_SCHEMA must be a schema name of at most 63 bytes"
        )
