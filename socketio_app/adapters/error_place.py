"""Where an error was raised, without what it says.

The text of an error of the host application may hold a token, or the content of a message.
"""

import traceback


def type_and_place(error: BaseException) -> str:
    """Return the type of an error, and the line that raised it if it has a traceback."""
    name = type(error).__name__
    places = list(traceback.walk_tb(error.__traceback__))
    if not places:
        return name
    frame, line = places[-1]
    return f"{name} at {frame.f_code.co_filename}:{line}"
