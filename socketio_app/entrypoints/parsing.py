"""A setting's text to its value, with errors of one line that begin with the setting's name."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import attrs

from socketio_app.adapters.sql.postgres.url import parse_postgres_url
from socketio_app.domain.identifiers import is_unicode

T = TypeVar("T")
Parser = Callable[[object], T]


class SettingsError(ValueError):
    """A setting is missing or wrong. The message is one line, and holds no secret."""


def setting(default: object, parse: Parser[Any], meaning: str, *, secret: bool = False) -> Any:
    """Declare a setting as an attribute.

    Args:
        default: what it is where it is not set; may be given as it would be in the environment.
        parse: makes the value of what was given; raises ValueError with what it should be.
        meaning: what it is for, and what happens at a bound; for the table in the documentation.
        secret: keep the value out of every representation and message.
    """

    def convert(given: object, field: "attrs.Attribute[Any]") -> Any:
        try:
            return parse(_unwrapped(given))
        except ValueError as error:
            shown = "" if secret or _is_a_key(str(given)) else f", not {_short(given)}"
            raise SettingsError(f"{field.name.upper()} {error}{shown}") from None

    return attrs.field(
        default=default,
        converter=attrs.Converter(convert, takes_field=True),
        repr=not secret,
        metadata={"meaning": meaning},
    )


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Nothing, or what `parse` takes."""
    return lambda given: None if given is None else parse(given)


def text(given: object) -> str:
    """Any text; in an environment that is not UTF-8, what cannot be read as such is none."""
    if not isinstance(given, str) or not is_unicode(given):
        raise ValueError("must be text")
    return given


def path(given: object) -> Path:
    """A file's path."""
    found = str(given) if isinstance(given, Path) else text(given)
    if _is_a_key(found) or not found.isprintable():
        raise ValueError("must be a file's path")
    return Path(found)


def integer(lowest: int, highest: int) -> Parser[int]:
    """A whole number between two bounds, both included."""

    def parse(given: object) -> int:
        must = f"must be a whole number from {lowest} to {highest}"
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise ValueError(must)
        try:
            value = int(given)
        except ValueError:
            raise ValueError(must) from None
        if not lowest <= value <= highest:
            raise ValueError(must)
        return value

    return parse


def seconds(lowest: float, highest: float) -> Parser[float]:
    """A number of seconds between two bounds, both included: whole, a fraction or a timedelta."""

    def parse(given: object) -> float:
        must = f"must be a number of seconds from {lowest} to {highest}"
        if isinstance(given, timedelta):
            given = given.total_seconds()
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError(must)
        try:
            value = float(given)
        except (ValueError, OverflowError):
            raise ValueError(must) from None
        if not lowest <= value <= highest:  # nor is a NaN
            raise ValueError(must)
        return int(value) if value.is_integer() else value

    return parse


def one_of(*choices: str) -> Parser[str]:
    """One of a few words, in any case."""

    def parse(given: object) -> str:
        value = text(given).lower()
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def log_level(given: object) -> str:
    """A level of the standard library's logging, by its name or its number."""
    known = one_of("critical", "error", "warning", "info", "debug")
    if isinstance(given, int) and not isinstance(given, bool):
        return known(logging.getLevelName(given))
    return known(given)


_DATABASE_SCHEMES = {"memory", "sqlite", "postgres", "postgresql"}


def database_url(given: object) -> str:
    """A store's URL, in one form whichever driver it names: a host may use another than we do."""
    scheme, separator, rest = text(given).partition("://")
    database = scheme.partition("+")[0]
    if not separator or database not in _DATABASE_SCHEMES:
        raise ValueError("must begin with memory://, sqlite:/// or postgresql://")
    if database == "sqlite":
        return f"sqlite:///{_sqlite_file(rest)}"
    if database in {"postgres", "postgresql"}:
        url = f"postgresql://{rest}"
        parse_postgres_url(url)
        return url
    return f"{database}://{rest}"


_IGNORED_SQLITE_PARAMETERS = {
    "cached_statements",
    "check_same_thread",
    "detect_types",
    "isolation_level",
    "timeout",
}
"""Parameters of a host's own connections to the file; the chat opens it in its own way."""


def _sqlite_file(rest: str) -> str:
    """The path in what follows `sqlite://`."""
    name, _, query = rest.partition("?")
    file = name.removeprefix("/")
    if file == ":memory:" or rest == "":
        raise ValueError("must name a file, as in sqlite:///chat.db, or be memory://")
    if not name.startswith("/") or not file or file.startswith("file:"):
        raise ValueError("must name a file, as in sqlite:///chat.db")
    unknown = {
        slice_connections.partition("=")[0]
        for slice_connections in query.split("&")
        if slice_connections
    }
    unknown -= _IGNORED_SQLITE_PARAMETERS
    if unknown:
        raise ValueError(f"has parameters that a SQLite file does not take: {min(unknown)}")
    return file


def switch(given: object) -> bool:
    """`on` or `off`, and the other words for them."""
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    value = words.get(str(given).lower())
    if value is None:
        raise ValueError("must be on or off")
    return value


def words(given: object) -> tuple[str, ...]:
    """Some words: separated by commas, as a JSON list, or as a Python sequence."""
    if isinstance(given, str):
        items: Sequence[object] = (
            _json_list(given) if given.lstrip().startswith("[") else given.split(",")
        )
    elif isinstance(given, list | tuple | set | frozenset):
        items = list(given)
    else:
        raise ValueError("must be a list")
    return tuple(word for item in items if (word := str(item).strip()))


def origins(given: object) -> tuple[str, ...]:
    """Some web origins (RFC 6454, section 6.2) as browsers write them, or `*` alone."""
    found = words(given)
    return found if found == ("*",) else tuple(map(_origin, found))


_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}

_ORIGINS_WITHOUT_HOST = {"null", "file://"}
"""Browsers name these for sandboxed frames and local files."""

_SCHEMES_OF_NO_ORIGIN = {"ftp", "ws", "wss"}
"""Browsers never name these: whoever sets them means another scheme."""


def _origin(given: str) -> str:
    """An origin in lower case and without its scheme's own port: any other never matches."""
    if given.lower() in _ORIGINS_WITHOUT_HOST:
        return given.lower()
    found = _ORIGIN.fullmatch(given.lower())
    is_origin = found is not None and found[1] not in _SCHEMES_OF_NO_ORIGIN
    if found is None or not is_origin or not 1 <= int(found[3] or 1) <= 65_535:
        raise ValueError("must be a list of origins such as https://app.example.com, or * alone")
    scheme, host, port = found.groups()
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _json_list(given: str) -> Sequence[object]:
    try:
        items = json.loads(given)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("must be a list of text")
    return items


def _is_a_key(given: str) -> bool:
    """Whether it is a PEM or a JWK, pasted where its file's path belongs; nobody may see it."""
    return "-----BEGIN" in given or given.lstrip().startswith("{")


def _unwrapped(given: object) -> object:
    """Return the plain value of what settings libraries wrap: secrets and URLs.

    That is pydantic's `Secret...`, also around a URL, its URLs and DSNs, and SQLAlchemy's `URL`,
    which would hide the password as a string.
    """
    get_secret_value = getattr(given, "get_secret_value", None)
    if callable(get_secret_value):
        return _unwrapped(get_secret_value())
    render = getattr(given, "render_as_string", None)
    if callable(render):
        return render(hide_password=False)
    unicode_string = getattr(given, "unicode_string", None)
    return unicode_string() if callable(unicode_string) else given


def _short(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 60 else shown[:57] + "..."
