"""What the server accepts in a command's payload, found by asking its parser."""

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeGuard, get_args

import msgspec

from socketio_app.adapters.wire.registry import WireCommand
from socketio_app.application.commands import SendMessage
from socketio_app.application.limits import Limits
from socketio_app.domain.errors import ChatError
from socketio_app.domain.messaging import check_content

Accepts = Callable[[Any], bool]
Shape = type[msgspec.Struct]

MAX_LENGTH = 10_000
"""Length up to which strings and lists are tried."""


def payload_lines(row: WireCommand) -> list[str]:
    """Return a line for each field of a command's payload, and for how fields combine."""

    def is_accepted(payload: object) -> bool:
        try:
            command = row.parse(msgspec.convert(payload, row.payload))
            if isinstance(command, SendMessage):
                check_content(command.content, Limits().max_content_chars)
        except (ChatError, msgspec.ValidationError):
            return False
        return True

    return _object_lines(row.payload, is_accepted)


def _object_lines(shape: Shape, is_accepted: Accepts, path: str = "") -> list[str]:
    fields = msgspec.structs.fields(shape)
    optional = [field.name for field in fields if not field.required]
    lines = []
    for field in fields:
        name = field.name
        rest = next(_accepted(shape, is_accepted, {name}))
        accepts_value = _with(rest, name, is_accepted)
        mark = "" if field.required else "?"
        null = (
            "" if field.required or not _is_null_ignored(shape, is_accepted, name) else " or null"
        )
        lines.append(f"{path}{name}{mark}: {_value(rest[name], accepts_value)}{null}")
        nested = next((each for each in _alternatives(field.type) if _is_shape(each)), None)
        if nested is not None:
            is_list = isinstance(rest[name], list)
            accepts_item = (lambda item, of=accepts_value: of([item])) if is_list else accepts_value
            lines += _object_lines(nested, accepts_item, f"{path}{name}{'[]' * is_list}.")
    where = path.removesuffix(".") + " " * bool(path)
    if needed := _smallest_sets(shape, is_accepted, optional):
        lines.append(f"{where}needs {' or '.join(needed)}")
    for one, other in combinations(optional, 2):
        if not any(True for _ in _accepted(shape, is_accepted, {one, other})):
            lines.append(f"{where}excludes {one} with {other}")
    return lines


def _with(rest: Mapping[str, Any], name: str, is_accepted: Accepts) -> Accepts:
    return lambda value: is_accepted({**rest, name: value})


def _is_null_ignored(shape: Shape, is_accepted: Accepts, name: str) -> bool:
    """Whether a payload without a field is also accepted with the field being `null`."""
    without = next(each for each in _accepted(shape, is_accepted, set()) if name not in each)
    return is_accepted({**without, name: None})


def _accepted(shape: Shape, is_accepted: Accepts, names: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the accepted payloads with some fields, those with the fewest others first."""
    fields = msgspec.structs.fields(shape)
    base = [each for each in fields if each.required or each.name in names]
    others = [each for each in fields if each not in base]
    for count in range(len(others) + 1):
        for added in combinations(others, count):
            chosen = [*base, *added]
            for values in product(*(_candidates(each.type) for each in chosen)):
                payload = dict(zip((each.name for each in chosen), values, strict=True))
                if is_accepted(payload):
                    yield payload


def _smallest_sets(shape: Shape, is_accepted: Accepts, optional: Sequence[str]) -> list[str]:
    """Return the smallest sets of optional fields without which a payload is rejected."""
    found: list[set[str]] = []
    for payload in _accepted(shape, is_accepted, set()):
        names = set(payload) & set(optional)
        if not any(each <= names for each in found):
            found.append(names)
    return [" and ".join(name for name in optional if name in each) for each in found if each]


def _alternatives(wire_type: Any) -> Sequence[Any]:
    """Return the types in a union and in its lists."""
    alternatives = get_args(wire_type) or (wire_type,)
    return [*alternatives, *(item for each in alternatives for item in get_args(each))]


def _is_shape(wire_type: object) -> TypeGuard[Shape]:
    return isinstance(wire_type, type) and issubclass(wire_type, msgspec.Struct)


def _candidates(wire_type: Any) -> Sequence[object]:
    """Return values of a field, one of which the parser accepts."""
    for each in _alternatives(wire_type):
        if _is_shape(each):
            is_list = each is not wire_type
            return [[value] if is_list else value for value in _objects(each)]
    is_number = int in _alternatives(wire_type) and str not in _alternatives(wire_type)
    return [7] if is_number else ["77", "e.7"]


def _objects(shape: Shape) -> Iterator[dict[str, Any]]:
    """Yield objects with the required fields and at most one other field."""
    fields = msgspec.structs.fields(shape)
    for added in [None, *(field.name for field in fields if not field.required)]:
        chosen = [field for field in fields if field.required or field.name == added]
        for values in product(*(_candidates(field.type) for field in chosen)):
            yield dict(zip((field.name for field in chosen), values, strict=True))


def _value(value: object, is_accepted: Accepts) -> str:
    """Describe the accepted values of a field, given one of them."""
    if isinstance(value, list):
        most = _greatest(1, MAX_LENGTH, lambda count: is_accepted(value * count))
        return f"list of {0 if is_accepted([]) else 1} to {most} objects"
    if isinstance(value, dict):
        return "object"
    return " or ".join(each for each in (_text(is_accepted), _number(is_accepted)) if each)


def _text(is_accepted: Accepts) -> str:
    if not is_accepted("77"):
        return "opaque string" if is_accepted("e.7") else ""
    least = next(count for count in range(3) if is_accepted("7" * count))
    most = _greatest(2, MAX_LENGTH, lambda count: is_accepted("7" * count))
    length = f"{least} or more" if most == MAX_LENGTH else f"{least} to {most}"
    blank = "" if is_accepted(" ") or not is_accepted("7 ") else ", not only white space"
    return f"string of {length} characters{_alphabet(is_accepted)}{blank}"


_CHARACTERS: Mapping[str, str] = {
    "A-Z": string.ascii_uppercase,
    "a-z": string.ascii_lowercase,
    "0-9": string.digits,
    **{each: each for each in string.punctuation},
    "white space": string.whitespace,
    "é": "é",
    "lone surrogates": "\ud800",
}


def _alphabet(is_accepted: Accepts) -> str:
    accepted = [
        name
        for name, characters in _CHARACTERS.items()
        if all(is_accepted("7" + each) for each in characters)
    ]
    missing = [name for name in _CHARACTERS if name not in accepted]
    if len(missing) < len(accepted):
        return f" without {' '.join(missing)}" if missing else ""
    return f" of {' '.join(accepted)}"


def _number(is_accepted: Accepts) -> str:
    if not is_accepted(1):
        return ""
    most = _greatest(1, 10**200, is_accepted)
    least = -_greatest(0, 10**200, lambda number: is_accepted(-number)) if is_accepted(0) else 1
    kind = "number" if is_accepted(1.5) else "integer"
    return f"{kind} from {_integer(least)} to {_integer(most)}"


def _greatest(least: int, most: int, is_accepted: Callable[[int], bool]) -> int:
    """Return the greatest accepted number, given that all up to it are accepted."""
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if is_accepted(middle) else (least, middle - 1)
    return least


_POWERS = {
    **{10**exponent - 1: f"10^{exponent} - 1" for exponent in range(20, 200)},
    **{2**exponent - 1: f"2^{exponent} - 1" for exponent in (31, 32, 53, 63, 64)},
}


def _integer(number: int) -> str:
    if -number in _POWERS:
        return f"-({_POWERS[-number]})"
    return _POWERS.get(number, str(number))
