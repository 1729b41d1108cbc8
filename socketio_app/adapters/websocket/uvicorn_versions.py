"""What the installed versions of uvicorn, websockets and uvloop do, as far as it matters here."""

import asyncio
import logging
from functools import cache
from importlib.metadata import version

from uvicorn.config import Config

from socketio_app.adapters.compatibility import takeover_problems

log = logging.getLogger("socketio_app.socketio")
_uvicorn_log = logging.getLogger("uvicorn.error")


def answers_handshakes(config: Config) -> bool:
    """Whether usual handshakes are answered without websockets, which logs at level `DEBUG`."""
    is_plain = not (config.ws_per_message_deflate or _uvicorn_log.isEnabledFor(logging.DEBUG))
    return is_plain and _answers_like_websockets() and is_takeover_supported()


@cache
def is_takeover_supported() -> bool:
    """Whether this uvicorn is supported; `TakeoverProtocol` may be used without another check."""
    problems = takeover_problems()
    if problems:
        log.warning("WebSockets are not taken over from uvicorn: %s", ", ".join(problems))
    return not problems


@cache
def _answers_like_websockets() -> bool:
    """Whether `Handshake.response` is what these versions of uvicorn and websockets respond.

    Earlier ones send a date, or encode headers as UTF-8.
    """
    return _version("uvicorn") >= (0, 54) and _version("websockets") >= (17,)


def _version(package: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version(package).split(".")[:2])


def loop_batches_writes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether everything written in one turn of the loop is sent in one system call.

    uvloop before 0.23 gathers writes; later versions and asyncio write immediately.
    """
    return type(loop).__module__.startswith("uvloop") and _uvloop_gathers_writes()


@cache
def _uvloop_gathers_writes() -> bool:
    # Cached: this reads the package's metadata from disk.
    return _version("uvloop") < (0, 23)
