"""Whether the installed dependencies still are what this package was built on.

The package's metadata excludes versions that are too old. A newer one may be installed before it
was tested; this module then decides at start-up, so that no connection fails. WebSockets are taken
over only from versions that were tested and have everything that is used; with any others, the
ASGI server's own implementation serves them.

A test compares the names below with those that the classes of this package use.
"""

import dis
import inspect
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version

log = logging.getLogger("socketio_app.socketio")

UVICORN = "uvicorn.protocols.websockets.websockets_sansio_impl"
UVICORN_HTTP = "uvicorn.protocols.http.httptools_impl"
HTTP_PROTOCOL = "socketio_app.adapters.websocket.uvicorn_http_protocol"
FAST_PROTOCOL = "socketio_app.adapters.websocket.uvicorn_protocol"

NEWEST_TESTED: Mapping[str, tuple[int, ...]] = {
    "python-engineio": (4, 15),
    "uvicorn": (0, 54),
    "websockets": (17,),
}
"""The newest version of each that was tested, as far as the numbers matter."""

Methods = Mapping[str, Sequence[str]]
"""The names of a class's methods, and of the parameters of each."""

WEBSOCKET_METHODS: Methods = {
    "handle_connect": ["event"],
    "receive": [],
    "run_asgi": [],
    "send": ["message"],
    "send_500_response": [],
    "stop_keepalive": [],
    "data_received": ["data"],
    "pause_writing": [],
    "resume_writing": [],
    "connection_lost": ["exc"],
    "shutdown": [],
}
WEBSOCKET_ATTRIBUTES = [
    "app",
    "app_state",
    "close_timer",
    "config",
    "conn",
    "connections",
    "disconnected",
    "frames",
    "handshake_complete",
    "initial_response",
    "logger",
    "loop",
    "queue",
    "scope",
    "transport",
    "writable",
]
HTTP_METHODS: Methods = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "on_message_begin": [],
    "on_headers_complete": [],
    "on_response_complete": [],
    "send_400_response": ["msg"],
}
HTTP_ATTRIBUTES = ["cycle", "flow", "loop", "transport"]
ENGINE_METHODS: Methods = {
    "_bad_request": ["message"],
    "_log_error_once": ["message", "message_key"],
    "_method_not_found": [],
    "_make_response": ["response_dict", "environ"],
    "handle_request": ["args", "kwargs"],
    "_cors_allowed_origins": ["environ"],
    "_handle_connect": ["environ", "transport", "jsonp_index"],
    "_ok": ["packets", "headers", "jsonp_index"],
    "_upgrades": ["sid", "transport"],
}
ENGINE_ATTRIBUTES = [
    "_async",
    "max_http_buffer_size",
    "ping_interval",
    "ping_timeout",
    "sockets",
    "start_service_task",
]


def differences(a_class: type, methods: Methods, attributes: Iterable[str] = ()) -> Sequence[str]:
    """What a class does not have, or has otherwise.

    Args:
        a_class: the class.
        methods: the methods that it should have.
        attributes: what its methods, or those of its bases, should set.
    """
    found = []
    for name, parameters in methods.items():
        method = getattr(a_class, name, None)
        if method is None:
            found.append(f"{name} is gone")
        elif [each for each in inspect.signature(method).parameters if each != "self"] != [
            *parameters
        ]:
            found.append(f"{name} takes other arguments")
    has = set(_attributes_set(a_class))
    return found + [f"{each} is gone" for each in attributes if each not in has]


def _attributes_set(a_class: type) -> Iterable[str]:
    """Yield the attributes that a class has, and those that its methods set."""
    yield from dir(a_class)
    for each in a_class.__mro__:
        for method in vars(each).values():
            if inspect.isfunction(method):
                for instruction in dis.get_instructions(method):
                    if instruction.opname == "STORE_ATTR":
                        yield instruction.argval


def untested(*packages: str) -> Sequence[str]:
    """Return which of the packages are newer than any version that was tested."""
    found = []
    for package in packages:
        installed = version(package)
        newest = NEWEST_TESTED[package]
        numbers = tuple(int(each) for each in re.findall(r"\d+", installed)[: len(newest)])
        if numbers > newest:
            tested = ".".join(map(str, newest))
            found.append(f"{package} {installed} is newer than {tested}, the newest tested")
    return found


def takeover_problems() -> Sequence[str]:
    """Return why WebSockets cannot be taken over from uvicorn; nothing if they can."""
    try:
        base: type = import_module(UVICORN).WebSocketsSansIOProtocol
        import_module(FAST_PROTOCOL)
    except (ImportError, AttributeError) as error:
        return [str(error)]
    found = differences(base, WEBSOCKET_METHODS, WEBSOCKET_ATTRIBUTES)
    return [*found, *untested("uvicorn", "websockets")]


def websocket_protocol() -> type | str:
    """What to give uvicorn as `ws`: ours, which is several times faster; or else its own.

    Where it is not ours, the log says why.
    """
    found = takeover_problems()
    if not found:
        ours: type = import_module(FAST_PROTOCOL).TakeoverProtocol
        return ours
    log.warning(
        "WebSockets go the plain way, which is several times slower: uvicorn %s and websockets %s "
        "are not what this was built on: %s",
        version("uvicorn"),
        version("websockets"),
        ", ".join(found),
    )
    return "auto"


def http_protocol() -> type | str:
    """Return what to give uvicorn as `http`: ours, which is bounded, or else its own."""
    try:
        base: type = import_module(UVICORN_HTTP).HttpToolsProtocol
        ours: type = import_module(HTTP_PROTOCOL).BoundedHttpProtocol
        found = differences(base, HTTP_METHODS, HTTP_ATTRIBUTES)
        if not found:
            return ours
    except (ImportError, AttributeError) as error:
        found = [str(error)]
    log.warning(
        "HTTP requests are not bounded by the chat: uvicorn %s is not what this was built on: %s",
        version("uvicorn"),
        ", ".join(found),
    )
    return "auto"


@cache
def engine_problems(server: type) -> Sequence[str]:
    """Return why python-engineio may fail; nothing if it is as tested."""
    return [
        *differences(server, ENGINE_METHODS, ENGINE_ATTRIBUTES),
        *untested("python-engineio"),
    ]


def check_engine(server: type) -> None:
    """Log a warning if python-engineio is not what this was built on."""
    found = engine_problems(server)
    if found:
        log.warning(
            "connections may fail: python-engineio %s is not what this was built on: %s",
            version("python-engineio"),
            ", ".join(found),
        )
