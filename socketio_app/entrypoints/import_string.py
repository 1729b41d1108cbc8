"""Importing a host application's settings by a name such as `app.config:settings`."""

import importlib
import inspect
import re
import sys
from pathlib import Path

_NAME = re.compile(r"(?P<module>\w+(?:\.\w+)*):(?P<attribute>\w+(?:\.\w+)*)")


class ImportStringError(ValueError):
    """The object cannot be imported. The message is one line."""


def import_object(name: str) -> object:
    """Return the object with a name such as `app.config:settings`.

    The module is also searched for in the working directory. A function or a class, such as
    `get_settings`, is called without arguments.

    Raises:
        ImportStringError: the name is malformed, or the object cannot be imported or created.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ImportStringError("must be a name such as app.config:settings")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        value: object = importlib.import_module(found["module"])
        for attribute in found["attribute"].split("."):
            value = getattr(value, attribute)
        return value() if inspect.isclass(value) or inspect.isroutine(value) else value
    except ImportError as error:
        raise ImportStringError(f"cannot be imported: {_first_line(error)}") from error
    except AttributeError as error:
        raise ImportStringError(f"does not exist: {_first_line(error)}") from error
    except Exception as error:
        # Its message may hold values of the settings.
        raise ImportStringError(f"cannot be imported: it raised {type(error).__name__}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
