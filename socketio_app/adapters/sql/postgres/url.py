"""Parsing of PostgreSQL URLs, for both `serve` and `migrate`.

A host application often shares its URL with the chat. The parameters of libpq, asyncpg, SQLAlchemy
and Prisma are therefore supported where possible. Any other parameter is an error: silently
ignoring one that requires encryption would be dangerous.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import attrs

CONNECT_TIMEOUT_SECONDS = 10.0
"""Maximum time to connect, unless the URL has a `connect_timeout`."""

DEFAULT_PORT = 5432


class DatabaseUrlError(ValueError):
    """The URL is invalid. The message is one line without a subject or secrets."""


@attrs.frozen
class ConnectionParameters:
    """Parameters of connections to PostgreSQL."""

    hosts: Sequence[str] = ()
    """Host names, addresses or socket directories. If empty, `PGHOST` or the local server."""
    ports: Sequence[int] = ()
    """A port for each host. If empty, `PGPORT` or the default."""
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    database: str | None = None
    target_session_attrs: str | None = None
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    application_name: str = "socketio-app"
    session_settings: Mapping[str, str] = attrs.field(factory=dict)
    """Run-time settings of each session, such as `search_path`."""
    is_pooled: bool | None = None
    """Whether there is a pooler in transaction mode; `None` to detect it."""
    tls: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """TLS parameters of libpq."""
    login: Mapping[str, str] = attrs.field(factory=dict)
    """Arguments of asyncpg for authentication without a password in the URL."""

    @property
    def servers(self) -> Sequence[tuple[str | None, int | None]]:
        """Each host with its port; `None` for the default of the environment or the driver."""
        hosts: Sequence[str | None] = self.hosts or [None]
        ports: Sequence[int | None] = self.ports or [None] * len(hosts)
        return list(zip(hosts, ports, strict=True))

    def connect_arguments(self) -> dict[str, Any]:
        """Return the arguments for `asyncpg.connect`, without host and port."""
        return {
            # asyncpg only accepts certificate files in a DSN.
            "dsn": f"postgresql://?{urlencode(self.tls)}" if self.tls else None,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "target_session_attrs": self.target_session_attrs,
            "timeout": self.connect_timeout_seconds,
            "server_settings": {"application_name": self.application_name},
            **self.login,
        }


def parse_postgres_url(url: str, schema: str | None = None) -> ConnectionParameters:
    """Return the parameters in a `postgresql://` URL.

    Args:
        url: the URL.
        schema: name of the schema of the chat's tables, instead of one in the URL.

    Raises:
        DatabaseUrlError: a part of it is malformed, or a parameter is not supported.
    """
    parts = _URL.fullmatch(url)
    if parts is None or "\0" in unquote(url):
        raise DatabaseUrlError(_ENCODE)
    place, path, query = parts.groups("")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise DatabaseUrlError(_ENCODE) from None
    login, _, host_list = place.rpartition("@")
    user, _, password = login.partition(":")
    given: dict[str, Any] = {
        "user": _decoded(user) or None,
        "password": _decoded(password) or None,
        "database": _decoded(path) or None,
        "session_settings": {},
        "tls": {},
        "login": {},
    }
    places = {name: value for name, value in pairs if name in {"host", "port"}}
    given["hosts"], given["ports"] = _places(host_list, places)
    for name, value in pairs:
        if name not in places:
            _apply(given, name, value)
    if schema is not None:
        _schema(given, schema)
    if len(given["hosts"]) > 1:
        # A standby among them would accept connections, but reject every write.
        given.setdefault("target_session_attrs", "read-write")
    return ConnectionParameters(**given)


_URL = re.compile(r"postgresql://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?")

_ENCODE = (
    "must be a URL such as postgresql://user:password@host:5432/database, with characters such as "
    "/ ? # [ ] in the password percent-encoded"
)


def _apply(given: dict[str, Any], name: str, value: str) -> None:
    parameter = _PARAMETERS.get(name)
    if parameter is None:
        raise DatabaseUrlError(f"has the parameter {_shown(name)}, which is not supported")
    try:
        parameter(given, value)
    except ValueError as error:
        raise DatabaseUrlError(f"has an invalid {name}: it {error}") from None


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise DatabaseUrlError(_ENCODE) from None


def _places(host_list: str, query: Mapping[str, str]) -> tuple[Sequence[str], Sequence[int]]:
    """Return the hosts and ports, from the authority or from the query."""
    hosts: list[str] = []
    ports: list[str] = []
    for place in (host_list or query.get("host", "")).split(","):
        found = _PLACE.fullmatch(place)
        if found is None:
            raise DatabaseUrlError(_ENCODE)
        hosts.append(_decoded(found["address"] or found["name"]))
        ports.append(found["port"] or "")
    if "port" in query:
        ports = query["port"].split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
    if len(ports) != len(hosts) or (not all(hosts) and len(hosts) > 1):
        raise DatabaseUrlError("must have a port for each host, or one for all")
    if not all(re.fullmatch("[0-9]{0,5}", port) for port in ports):
        raise DatabaseUrlError(_ENCODE)
    numbers = [int(port or DEFAULT_PORT) for port in ports] if any(ports) else []
    if not all(1 <= number <= 65_535 for number in numbers):
        raise DatabaseUrlError("must have ports from 1 to 65535")
    return (hosts if all(hosts) else ()), numbers


# A host that begins with a slash is a socket directory.
_PLACE = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.%]+)\]|(?P<name>/[^:]*|[^:/\[\]@\s]*))(?::(?P<port>[^:]*))?"
)


Apply = Callable[[dict[str, Any], str], None]


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return value

    return parse


def _text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", value):
        raise ValueError("must be a number of seconds, at most 9999")
    # In libpq, 0 means no time-out; the chat always has one.
    return float(value) or CONNECT_TIMEOUT_SECONDS


def _ssl(value: str) -> str:
    words = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
    return _SSL_MODE(words.get(value.lower(), value))


_SSL_MODE = _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _attribute(name: str, parse: Callable[[str], Any] = _text) -> Apply:
    def apply(given: dict[str, Any], value: str) -> None:
        given[name] = parse(value)

    return apply


def _entry(mapping: str, name: str, parse: Callable[[str], str] = _text) -> Apply:
    def apply(given: dict[str, Any], value: str) -> None:
        given[mapping][name] = parse(value)

    return apply


def _ignored(parse: Callable[[str], object]) -> Apply:
    """Return a parser that validates a value without effect: the chat already behaves that way."""

    def apply(_given: dict[str, Any], value: str) -> None:
        parse(value)

    return apply


def _number(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError("must be a whole number")
    return int(value)


def _boolean(value: str) -> bool:
    return _one_of("true", "false")(value.lower()) == "true"


def _cache_size(given: dict[str, Any], value: str) -> None:
    if _number(value) == 0:
        # Applications set this for SQLAlchemy and asyncpg behind a pooler.
        given["is_pooled"] = True


def _schema(given: dict[str, Any], value: str) -> None:
    """Set the search path to one schema, with its exact name."""
    given["session_settings"]["search_path"] = '"' + _text(value).replace('"', '""') + '"'


def _options(given: dict[str, Any], value: str) -> None:
    """Parse any number of `-c name=value` or `--name=value`; a backslash escapes a space."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", value)]
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith(("-c", "--")):
            word = word[2:]
        else:
            raise ValueError("must be one or more of -c name=value")
        name, equals, setting = word.partition("=")
        name = name.replace("-", "_").lower()
        if not equals or not re.fullmatch(r"[a-z_][a-z0-9_.]*", name):
            raise ValueError("must be one or more of -c name=value")
        given["session_settings"][name] = setting


_PARAMETERS: Mapping[str, Apply] = {
    "user": _attribute("user"),
    "password": _attribute("password"),
    "dbname": _attribute("database"),
    "database": _attribute("database"),
    "application_name": _attribute("application_name"),
    "fallback_application_name": _ignored(_text),
    "connect_timeout": _attribute("connect_timeout_seconds", _seconds),
    "timeout": _attribute("connect_timeout_seconds", _seconds),
    "target_session_attrs": _attribute(
        "target_session_attrs", _one_of("any", "primary", "read-write")
    ),
    "sslmode": _entry("tls", "sslmode", _SSL_MODE),
    "ssl": _entry("tls", "sslmode", _ssl),
    "sslnegotiation": _entry("tls", "sslnegotiation", _one_of("postgres", "direct")),
    **{
        name: _entry("tls", name)
        for name in (
            "sslcert",
            "sslkey",
            "sslpassword",
            "sslrootcert",
            "sslcrl",
            "ssl_min_protocol_version",
            "ssl_max_protocol_version",
        )
    },
    # asyncpg supports neither channel binding nor GSSAPI encryption: requiring them is an error.
    "channel_binding": _ignored(_one_of("disable", "prefer")),
    "gssencmode": _ignored(_one_of("disable", "prefer")),
    **{name: _entry("login", name) for name in ("passfile", "krbsrvname", "gsslib")},
    # asyncpg leaves keepalives to the system; the chat has time-outs of its own.
    **{
        name: _ignored(_number)
        for name in (
            "keepalives",
            "keepalives_idle",
            "keepalives_interval",
            "keepalives_count",
            "tcp_user_timeout",
        )
    },
    "async_fallback": _ignored(_boolean),
    "client_encoding": _ignored(_one_of("utf8", "UTF8", "utf-8", "UTF-8", "auto")),
    "options": _options,
    "search_path": _entry("session_settings", "search_path"),
    "schema": _schema,
    "currentSchema": _schema,
    "prepared_statement_cache_size": _cache_size,
    "statement_cache_size": _cache_size,
    "pgbouncer": _attribute("is_pooled", _boolean),
}


def _shown(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_.-]{1,40}", name) else "with a malformed name"
