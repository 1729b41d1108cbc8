"""Sample values of types: at least one for each alternative that a type has."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from socketio_app.domain.messaging import Message
from socketio_app.domain.values import Value

_PLAIN: dict[object, Sequence[object]] = {
    NoneType: [None],
    bool: [False, True],
    int: [7],
    str: ["ada"],
    datetime: [datetime(2026, 11, 23, 12, tzinfo=UTC)],
    timedelta: [timedelta(seconds=7)],
}


class Choice(str):
    """A value of a `Literal`."""

    __slots__ = ()


def samples(a_type: Any) -> Sequence[Any]:
    """Return values of a type, at least one for each alternative."""
    if a_type in _PLAIN:
        return _PLAIN[a_type]
    if isinstance(a_type, NewType):
        return samples(a_type.__supertype__)
    origin = get_origin(a_type)
    if origin is Literal:
        return [Choice(each) for each in get_args(a_type)]
    if origin is Union or origin is UnionType:
        return [value for each in get_args(a_type) for value in samples(each)]
    if origin is Sequence:
        return [samples(get_args(a_type)[0])]
    if attrs.has(a_type):
        fields = [field for field in attrs.fields(a_type) if field.init]
        return _instances(a_type, {field.name: field.alias for field in fields})
    if a_type is Message:
        return _messages()
    if isinstance(a_type, type) and issubclass(a_type, Value):
        return _instances(a_type, {name: name for name in a_type.__struct_fields__})
    raise TypeError(f"no samples of {a_type}")


def _messages() -> Sequence[Message]:
    """Return messages whose recipient is one of their conversation."""
    return [
        msgspec.structs.replace(each, to_user_id=each.conversation.recipient(each.from_user_id))
        for each in _instances(Message, {name: name for name in Message.__struct_fields__})
    ]


def _instances(a_class: type, parameters: Mapping[str, str]) -> Sequence[Any]:
    """Return an instance for each combination of the samples of its fields.

    Args:
        a_class: the class.
        parameters: the parameters of its constructor, by field.
    """
    types = get_type_hints(a_class)
    return [
        a_class(**dict(zip(parameters.values(), values, strict=True)))
        for values in product(*(samples(types[field]) for field in parameters))
    ]
