"""Parsers for settings. Error messages are one line and begin with the setting's name."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import attrs

from socketio_app.domain.identifiers import is_unicode

T = TypeVar("T")
Parser = Callable[[object], T]


class SettingsError(ValueError):
    """A setting is missing or invalid. The message is one line and contains no secret."""


def setting(
    default: object,
    parse: Parser[Any],
    meaning: str,
    *,
    secret: bool = False,
    standalone: bool = False,
) -> Any:
    """Declare a setting as an attribute.

    Args:
        default: the default, which may be written as in the environment.
        parse: converts the given value; raises ValueError saying what the value must be.
        meaning: purpose of the setting, and what happens at a bound; shown in the documentation.
        secret: whether to hide the value in representations and messages.
        standalone: whether only `socketio-app serve` uses the setting. A host application may have
            one of the same name, with values that are valid for its own purpose only.
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
        metadata={"meaning": meaning, "standalone": standalone},
    )


def optional(parse: Parser[T]) -> Parser[T | None]:
    """Accept `None`, or anything that `parse` accepts."""
    return lambda given: None if given is None else parse(given)


def text(given: object) -> str:
    """Accept any string that is valid Unicode; an environment may contain bytes that are not."""
    if not isinstance(given, str) or not is_unicode(given):
        raise ValueError("must be text")
    return given


def path(given: object) -> Path:
    """Accept a file path."""
    found = str(given) if isinstance(given, Path) else text(given)
    if _is_a_key(found) or not found.isprintable():
        raise ValueError("must be a file path")
    return Path(found)


_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")

_OWN_PATHS = ("/socket.io", "/healthz", "/readyz", "/metrics")
"""Paths of the chat's other routes."""


def url_path(given: object) -> str:
    """Accept a path that is not below one of the chat's other routes, or an empty string."""
    found = text(given)
    is_taken = any(f"{found}/".startswith(f"{own}/") for own in _OWN_PATHS)
    if is_taken or _URL_PATH.fullmatch(found) is None:
        *others, last = _OWN_PATHS
        raise ValueError(f"must be a path such as /ws, and not below {', '.join(others)} or {last}")
    return found


def schema_name(given: object) -> str:
    """Accept the name of a schema in PostgreSQL, which it would otherwise truncate."""
    found = text(given)
    is_name = 1 <= len(found.encode()) <= _MAX_NAME_BYTES and found.isprintable()
    if not is_name or found.startswith("pg_"):
        raise ValueError(f"must be a schema name of at most {_MAX_NAME_BYTES} bytes")
    return found


_MAX_NAME_BYTES = 63


def http_url(given: object) -> str:
    """Accept the URL of a document on a web server, without a password."""
    found = text(given)
    if re.fullmatch(r"https?://[^/?#@\s]+(?:[/?][^#\s]*)?", found) is None or not found.isascii():
        raise ValueError("must be a URL such as https://issuer.example/jwks.json")
    return found


def integer(lowest: int, highest: int) -> Parser[int]:
    """Accept a whole number between two bounds, both included."""

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
    """Accept seconds between two bounds, both included: a number or a timedelta."""

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
        if not lowest <= value <= highest:  # also true for NaN
            raise ValueError(must)
        return int(value) if value.is_integer() else value

    return parse


def one_of(*choices: str) -> Parser[str]:
    """Accept one of several words, case-insensitively."""

    def parse(given: object) -> str:
        value = text(given).lower()
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def log_level(given: object) -> str:
    """Accept a level of the standard library's logging, by name or number."""
    known = one_of("critical", "error", "warning", "info", "debug")
    if isinstance(given, int) and not isinstance(given, bool):
        return known(logging.getLevelName(given))
    synonyms = {"warn": "warning", "fatal": "critical"}
    return known(synonyms.get(str(given).lower(), given))


def switch(given: object) -> bool:
    """Accept `on` or `off`, and their synonyms."""
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    value = words.get(str(given).lower())
    if value is None:
        raise ValueError("must be on or off")
    return value


def words(given: object) -> tuple[str, ...]:
    """Accept words separated by commas, as a JSON list, or as a Python collection."""
    if isinstance(given, str):
        items: Sequence[object] = (
            _json_list(given) if given.lstrip().startswith("[") else given.split(",")
        )
    elif isinstance(given, list | tuple | set | frozenset):
        items = list(given)
    else:
        raise ValueError("must be a list")
    return tuple(word for item in items if (word := str(_unwrapped(item)).strip()))


def origins(given: object) -> tuple[str, ...]:
    """Accept web origins (RFC 6454, section 6.2) as browsers write them, or `*` alone.

    The first label of a host may have a `*`, for all subdomains.
    """
    found = words(given)
    return found if found == ("*",) else tuple(map(_origin, found))


_LABEL = "[a-z0-9_-]"
_PATTERN = rf"{_LABEL}*\*{_LABEL}*(?:\.{_LABEL}+){{2,}}"
"""A host whose first label has a `*`. At least two labels follow: nobody owns all of `*.com`."""

_ORIGIN = re.compile(
    rf"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\]|{_PATTERN})(?::([0-9]{{1,5}}))?/?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}

_ORIGINS_WITHOUT_HOST = {"null", "file://"}
"""Browsers send these for sandboxed frames and local files."""

_SCHEMES_OF_NO_ORIGIN = {"ftp", "ws", "wss"}
"""Browsers never send these; a setting with one of them is a mistake."""


def _origin(given: str) -> str:
    """Return an origin in lower case without its scheme's default port, as browsers send it."""
    if given.lower() in _ORIGINS_WITHOUT_HOST:
        return given.lower()
    found = _ORIGIN.fullmatch(given.lower())
    is_origin = found is not None and found[1] not in _SCHEMES_OF_NO_ORIGIN
    if found is None or not is_origin or not 1 <= int(found[3] or 1) <= 65_535:
        raise ValueError(
            "must be a list of origins such as https://app.example.com or https://*.example.com, "
            "or * alone"
        )
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
        raise ValueError("must be a list of strings")
    return items


def _is_a_key(given: str) -> bool:
    """Whether the value is a PEM or JWK pasted instead of its file's path; it must be hidden."""
    return "-----BEGIN" in given or given.lstrip().startswith("{")


def _unwrapped(given: object) -> object:
    """Return the plain value of a secret or URL that a settings library has wrapped.

    Supports pydantic's `Secret...`, also around a URL, its URLs and DSNs, and SQLAlchemy's `URL`,
    whose string representation hides the password.
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
