"""The stores that `DATABASE_URL` can name, one row each."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from socketio_app.adapters.memory import MemoryStore
from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.adapters.sql.postgres.url import parse_postgres_url
from socketio_app.adapters.sql.sqlite.store import SqliteStore
from socketio_app.adapters.sql.sqlite.url import sqlite_file
from socketio_app.application.ports import Store
from socketio_app.entrypoints.limit_settings import LimitSettings
from socketio_app.entrypoints.parsing import text

log = logging.getLogger("socketio_app")


def _unchanged(url: str) -> str:
    return url


def _checked_postgres_url(url: str) -> str:
    parse_postgres_url(url)
    return url


@attrs.frozen
class StoreKind:
    """A kind of store."""

    prefix: str
    """How its URLs begin."""
    meaning: str
    """Its URL and what it stores, for the documentation of `DATABASE_URL`."""
    create: Callable[[str, LimitSettings], Store]
    """Creates a store from a normalized URL and the limits."""
    normalize: Callable[[str], str] = _unchanged
    """Returns a URL without what does not apply to the chat; raises ValueError saying what the URL
    must be."""
    names_place: bool = True
    """Whether its URLs continue after the prefix, and may name a driver."""

    @property
    def scheme(self) -> str:
        """The scheme of its URLs."""
        return self.prefix.partition("://")[0]


STORES: Final[Sequence[StoreKind]] = (
    StoreKind(
        "memory://",
        "`memory://`, lost when the process ends",
        lambda _url, settings: MemoryStore(
            settings.chat_memory_messages,
            settings.chat_memory_conversations,
            settings.limits().max_rooms_per_user,
        ),
        names_place=False,
    ),
    StoreKind(
        "sqlite:///",
        "`sqlite:///chat.db`, a file for one process",
        lambda url, settings: SqliteStore(
            Path(sqlite_file(url)), settings.limits().max_rooms_per_user
        ),
        lambda url: f"sqlite:///{sqlite_file(url)}",
    ),
    StoreKind(
        "postgresql://",
        "`postgresql://...`, with the parameters under [PostgreSQL](#postgresql)",
        lambda url, settings: PostgresStore(
            url,
            settings.limits().max_rooms_per_user,
            schema=settings.chat_database_schema,
            max_sessions=settings.chat_database_pool_size,
        ),
        _checked_postgres_url,
    ),
)

MEANINGS: Final = "; ".join([*(kind.meaning for kind in STORES[:-1]), f"or {STORES[-1].meaning}"])
"""The meanings of all kinds, as a list in a sentence."""

_BY_SCHEME: Final = {kind.scheme: kind for kind in STORES}

_SYNONYMS: Final = {"postgres": "postgresql"}
"""Other names of schemes, which hosting providers use."""


def database_url(given: object) -> str:
    """Accept a store's URL; ignore its driver, which the host may have set for its own use.

    Schemes are case-insensitive (RFC 3986, section 3.1).
    """
    scheme, separator, rest = text(given).partition("://")
    database, plus, _driver = scheme.lower().partition("+")
    kind = _BY_SCHEME.get(_SYNONYMS.get(database, database))
    if not separator or kind is None:
        *others, last = [each.prefix for each in STORES]
        raise ValueError(f"must begin with {', '.join(others)} or {last}")
    if not kind.names_place and (plus or rest):
        raise ValueError(f"must be {kind.prefix} alone")
    return kind.normalize(f"{kind.scheme}://{rest}")


def host_database_url(given: object) -> str:
    """Accept the same as `database_url`; an error says what to do if it is the host's database."""
    try:
        return database_url(given)
    except ValueError as error:
        raise ValueError(
            f"{error}; if the application needs it as it is, set CHAT_DATABASE_URL for the chat"
        ) from None


def create_store(url: str, limits: LimitSettings) -> Store:
    """Create the store that a normalized URL names."""
    store = _BY_SCHEME[url.partition("://")[0]].create(url, limits)
    if not store.capabilities.is_persistent:
        log.warning("messages are stored in memory and lost when this process exits (DATABASE_URL)")
    return store
