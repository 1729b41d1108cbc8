"""The fields of JSON objects, as lines of text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from socketio_app.adapters.wire.message_payloads import GroupMessage, PersonalMessage
from tests.snapshots.samples import Choice

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def field_lines(objects: Sequence[Mapping[str, Any]], path: str = "") -> list[str]:
    """Return a line for each field of similar objects, with its types.

    A `?` marks a field that some of the objects do not have.
    """
    lines = []
    for name in dict.fromkeys(name for each in objects for name in each):
        values = [each[name] for each in objects if name in each]
        mark = "" if len(values) == len(objects) else "?"
        items = [item for value in values if isinstance(value, list) for item in value]
        types = [_type_name(value, _type_name(items[0]) if items else "") for value in values]
        lines.append(f"{path}{name}{mark}: {' or '.join(dict.fromkeys(types))}")
        lines += field_lines(_unnamed(values), f"{path}{name}.")
        lines += field_lines(_unnamed(items), f"{path}{name}[].")
    return lines


def _type_name(value: object, item: str = "") -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case Choice():
            return f'"{value}"'
        case str():
            return "time" if _TIME.fullmatch(value) else "string"
        case int():
            return "integer"
        case list():
            return f"list of {item}s"
        case PersonalMessage() | GroupMessage():
            return "message"
        case dict():
            return "object"
        case _:
            raise TypeError(f"not JSON: {value!r}")


def _unnamed(values: Sequence[object]) -> list[dict[str, Any]]:
    """Return the objects whose fields are listed where they occur."""
    return [each for each in values if isinstance(each, dict) and _type_name(each) == "object"]
