"""JSON without what makes two readers see two things: doubled names, and numbers that are none."""

import json
from typing import Any


class NotStrictError(ValueError):
    """It is not one JSON object, or not an unambiguous one."""


def strict_object(encoded: bytes) -> dict[str, Any]:
    """The object in some UTF-8 (RFC 8725, section 2.4: doubled names are a way to be misread).

    Raises:
        NotStrictError: there is none, or it is ambiguous.
    """
    try:
        value = json.loads(
            encoded.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise NotStrictError from None
    if not isinstance(value, dict):
        raise NotStrictError
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError
    return found


def _refuse(_constant: str) -> None:
    raise NotStrictError
