"""Parsing of PostgreSQL URLs, with one-line errors."""

from typing import Any

import pytest

from socketio_app.adapters.sql.postgres.url import (
    ConnectionParameters,
    DatabaseUrlError,
    parse_postgres_url,
)


def parsed(rest: str) -> ConnectionParameters:
    return parse_postgres_url(f"postgresql://{rest}")


@pytest.mark.parametrize(
    ("rest", "hosts", "ports"),
    [
        ("", [], []),
        ("/chat", [], []),
        ("db", ["db"], []),
        ("db:6432/chat", ["db"], [6432]),
        ("ada:pw@db:6432/chat", ["db"], [6432]),
        ("one:1,two/chat", ["one", "two"], [1, 5432]),
        ("[::1]:1,[::2]:2/chat", ["::1", "::2"], [1, 2]),
        ("%2Frun%2Fpostgresql:1/chat", ["/run/postgresql"], [1]),
        ("ada@/chat?host=/run/postgresql&port=1", ["/run/postgresql"], [1]),
        ("/chat?host=one,two&port=1", ["one", "two"], [1, 1]),
        ("/chat?port=1", [], [1]),
    ],
)
def test_hosts_and_ports(rest: str, hosts: list[str], ports: list[int]) -> None:
    found = parsed(rest)

    assert (list(found.hosts), list(found.ports)) == (hosts, ports)


@pytest.mark.parametrize(
    ("rest", "user", "password", "database"),
    [
        ("db", None, None, None),
        ("ada@db", "ada", None, None),
        ("ada:p%40s%2Fs@db/chat", "ada", "p@s/s", "chat"),
        ("ada:p@ss@db/chat", "ada", "p@ss", "chat"),
        ("db/chat?user=ada&password=x&dbname=other", "ada", "x", "other"),
    ],
)
def test_login(rest: str, user: str | None, password: str | None, database: str | None) -> None:
    found = parsed(rest)

    assert (found.user, found.password, found.database) == (user, password, database)


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("", "is_pooled", None),
        ("pgbouncer=true", "is_pooled", True),
        ("pgbouncer=false", "is_pooled", False),
        ("prepared_statement_cache_size=0", "is_pooled", True),
        ("statement_cache_size=0", "is_pooled", True),
        ("prepared_statement_cache_size=500", "is_pooled", None),
        ("", "connect_timeout_seconds", 10.0),
        ("connect_timeout=3", "connect_timeout_seconds", 3.0),
        ("timeout=2.5", "connect_timeout_seconds", 2.5),
        ("connect_timeout=0", "connect_timeout_seconds", 10.0),
        ("", "application_name", "socketio-app"),
        ("application_name=shop", "application_name", "shop"),
        (
            "sslmode=verify-full&sslrootcert=/ca",
            "tls",
            {"sslmode": "verify-full", "sslrootcert": "/ca"},
        ),
        ("ssl=true", "tls", {"sslmode": "require"}),
        ("ssl=prefer", "tls", {"sslmode": "prefer"}),
        ("channel_binding=prefer&gssencmode=disable", "tls", {}),
        ("ssl=disable", "tls", {"sslmode": "disable"}),
        ("keepalives=1&keepalives_idle=30&tcp_user_timeout=9", "session_settings", {}),
        ("async_fallback=true", "is_pooled", None),
        ("target_session_attrs=primary", "target_session_attrs", "primary"),
        ("search_path=chat,public", "session_settings", {"search_path": "chat,public"}),
        ("schema=chat", "session_settings", {"search_path": '"chat"'}),
        ('currentSchema=a"b', "session_settings", {"search_path": '"a""b"'}),
        (
            "options=-csearch_path%3Dchat%20-c%20work_mem%3D8MB%20--lock-timeout%3D1s",
            "session_settings",
            {"search_path": "chat", "work_mem": "8MB", "lock_timeout": "1s"},
        ),
        (r"options=-c%20search_path=a,\%20b", "session_settings", {"search_path": "a, b"}),
    ],
)
def test_parameters(query: str, name: str, value: Any) -> None:
    assert getattr(parsed(f"db/chat?{query}"), name) == value


@pytest.mark.parametrize(
    ("rest", "servers"),
    [
        ("", [(None, None)]),
        ("/chat?port=1", [(None, 1)]),
        ("db", [("db", None)]),
        ("one:1,two", [("one", 1), ("two", 5432)]),
    ],
)
def test_servers(rest: str, servers: Any) -> None:
    assert parsed(rest).servers == servers


def test_several_hosts_default_to_the_one_that_accepts_writes() -> None:
    assert parsed("one/chat").target_session_attrs is None
    assert parsed("one,two/chat").target_session_attrs == "read-write"
    assert parsed("one,two/chat?target_session_attrs=any").target_session_attrs == "any"


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("ada:p/w@db/chat", "percent-encoded"),
        ("ada:p?w@db/chat", "percent-encoded"),
        ("ada:p#w@db/chat", "percent-encoded"),
        ("[::1/chat", "percent-encoded"),
        ("db/ch%ffat", "percent-encoded"),
        ("db/ch%00at", "percent-encoded"),
        ("db/chat?sslmode", "percent-encoded"),
        ("db:high/chat", "percent-encoded"),
        ("db:0/chat", "must have ports from 1 to 65535"),
        ("db:65536/chat", "must have ports from 1 to 65535"),
        ("one,two/chat?port=1,2,3", "must have a port for each host"),
        ("db/chat?pool_size=4", "has the parameter pool_size, which is not supported"),
        ("db/chat?%0a=4", "has the parameter with a malformed name, which is not supported"),
        ("db/chat?sslmode=on", "has an invalid sslmode: it must be disable, allow"),
        (
            "db/chat?channel_binding=require",
            "has an invalid channel_binding: it must be disable or",
        ),
        ("db/chat?connect_timeout=soon", "has an invalid connect_timeout: it must be a number"),
        (
            "db/chat?target_session_attrs=standby",
            "has an invalid target_session_attrs: it must be any",
        ),
        ("db/chat?pgbouncer=maybe", "has an invalid pgbouncer: it must be true or false"),
        ("db/chat?options=-d", "has an invalid options: it must be one or more of -c name=value"),
        (
            "db/chat?options=-c%20x;y=1",
            "has an invalid options: it must be one or more of -c name=value",
        ),
        ("db/chat?application_name=", "has an invalid application_name: it must not be empty"),
    ],
)
def test_invalid_url_is_a_one_line_error(rest: str, message: str) -> None:
    with pytest.raises(DatabaseUrlError, match=message) as raised:
        parsed(rest)

    assert len(str(raised.value).splitlines()) == 1


def test_repr_holds_no_secret() -> None:
    found = parsed("ada:hush@db/chat?sslpassword=hush")

    assert "hush" not in repr(found)


@pytest.mark.parametrize("rest", ["ada:hush@db:hush/chat", "ada:hush@db/chat?sslmode=hush"])
def test_errors_hold_no_secret(rest: str) -> None:
    with pytest.raises(DatabaseUrlError) as raised:
        parsed(rest)

    assert "hush" not in str(raised.value)
