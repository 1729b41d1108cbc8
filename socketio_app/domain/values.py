"""The base class of values that are created for each message."""

from typing import Any, TypeVar

import msgspec


class Value(msgspec.Struct, frozen=True, gc=False):
    """An immutable value without references to mutable objects.

    Creating one takes a tenth of the time of an attrs class, and the garbage collector does not
    traverse it (docs/adr/0012-values-as-structs.md).
    """


AnyValue = TypeVar("AnyValue", bound=Value)


def changed(value: AnyValue, **fields: Any) -> AnyValue:
    """Return a copy of a value with some other fields."""
    return msgspec.structs.replace(value, **fields)
