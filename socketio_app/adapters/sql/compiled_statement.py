"""The shared statements as a database's text, compiled once.

Compiling a statement costs ten times what running it costs this process.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from sqlalchemy import BigInteger, Dialect, LargeBinary, bindparam
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

_TYPES: dict[type, TypeEngine[Any]] = {bytes: LargeBinary(), int: BigInteger()}
"""The column type of each type of argument."""


@attrs.frozen
class _Text:
    sql: str
    slots: Sequence[tuple[int | None, Any]]
    """For each parameter, the argument it takes, or else its constant."""


class CompiledStatement:
    """A statement that takes arguments.

    It has as many texts as there are sets of arguments that are `None`: those are left out of the
    statement. Each is compiled when it is first used.

    Args:
        build: Makes the statement from values, or from what stands for them.
        dialect: The database's.
    """

    def __init__(self, build: Callable[..., ClauseElement], dialect: Dialect) -> None:
        self._build = build
        self._dialect = dialect
        self._texts: dict[tuple[bool, ...], _Text] = {}

    def text(self, *arguments: bytes | int | None) -> tuple[str, Sequence[Any]]:
        """Return the SQL and the values of its parameters, in their order."""
        given = tuple(argument is not None for argument in arguments)
        text = self._texts.get(given)
        if text is None:
            text = self._texts[given] = self._compile(arguments)
        return text.sql, [constant if at is None else arguments[at] for at, constant in text.slots]

    def _compile(self, arguments: Sequence[bytes | int | None]) -> _Text:
        names = [f"argument_{at}" for at in range(len(arguments))]
        stand_ins: list[Any] = [
            None if argument is None else bindparam(name, type_=_TYPES[type(argument)])
            for name, argument in zip(names, arguments, strict=True)
        ]
        compiled = self._build(*stand_ins).compile(dialect=self._dialect)
        constants = compiled.params
        slots = [
            (names.index(name) if name in names else None, constants[name])
            for name in getattr(compiled, "positiontup", None) or ()
        ]
        return _Text(str(compiled), slots)
