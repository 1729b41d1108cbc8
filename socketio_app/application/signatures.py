"""What functions of the host application take."""

import inspect
from collections.abc import Callable


def accepts(function: Callable[..., object], *arguments: object, **named: object) -> bool:
    """Whether a function can be called with these arguments; also true if it does not tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # for example a built-in function
        return True
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True
