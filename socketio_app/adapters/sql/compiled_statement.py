"""Shared statements, compiled once to the SQL of a database.

Compiling a statement costs this process ten times as much CPU as running it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from sqlalchemy import BigInteger, Dialect, LargeBinary, bindparam
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

_TYPES: dict[type, TypeEngine[Any]] = {bytes: LargeBinary(), int: BigInteger()}
"""The column type of each argument type."""


@attrs.frozen
class _Text:
    sql: str
    slots: Sequence[tuple[int | None, Any]]
    """For each parameter the index of its argument or, if that is `None`, its constant."""


class CompiledStatement:
    """A statement that takes arguments.

    Arguments that are `None` are omitted from the SQL. There is one SQL text for each combination
    of omitted arguments, compiled when it is first used.

    Args:
        build: builds the statement from arguments or bind parameters.
        dialect: dialect of the database.
    """

    def __init__(self, build: Callable[..., ClauseElement], dialect: Dialect) -> None:
        self._build = build
        self._dialect = dialect
        self._texts: dict[tuple[bool, ...], _Text] = {}

    def text(self, *arguments: bytes | int | None) -> tuple[str, Sequence[Any]]:
        """Return the SQL and its parameter values, in order."""
        is_given = tuple(argument is not None for argument in arguments)
        text = self._texts.get(is_given)
        if text is None:
            text = self._texts[is_given] = self._compile(arguments)
        return text.sql, [constant if at is None else arguments[at] for at, constant in text.slots]

    def _compile(self, arguments: Sequence[bytes | int | None]) -> _Text:
        names = [f"argument_{at}" for at in range(len(arguments))]
        parameters: list[Any] = [
            None if argument is None else bindparam(name, type_=_TYPES[type(argument)])
            for name, argument in zip(names, arguments, strict=True)
        ]
        compiled = self._build(*parameters).compile(dialect=self._dialect)
        constants = compiled.params
        slots = [
            (names.index(name) if name in names else None, constants[name])
            for name in getattr(compiled, "positiontup", None) or ()
        ]
        return _Text(str(compiled), slots)
