"""URLs of SQLite files, as SQLAlchemy writes them: `sqlite:///chat.db`."""

_IGNORED_PARAMETERS = {
    "cached_statements",
    "check_same_thread",
    "detect_types",
    "isolation_level",
    "timeout",
}
"""Parameters that a host may have set for its own connections; they do not apply to the chat."""


def sqlite_file(url: str) -> str:
    """Return the path of the file in a `sqlite:///` URL.

    Raises:
        ValueError: the URL names no file, or has an unsupported parameter.
    """
    rest = url.removeprefix("sqlite://")
    name, _, query = rest.partition("?")
    file = name.removeprefix("/")
    if file == ":memory:" or rest == "":
        raise ValueError(
            "must name a file, as in sqlite:///chat.db, or be memory://: a SQLite database in "
            "memory belongs to a single connection"
        )
    if not name.startswith("/") or not file or file.startswith("file:"):
        raise ValueError("must name a file, as in sqlite:///chat.db")
    unknown = {parameter.partition("=")[0] for parameter in query.split("&") if parameter}
    unknown -= _IGNORED_PARAMETERS
    if unknown:
        raise ValueError(f"has a parameter that SQLite does not support: {min(unknown)}")
    return file
