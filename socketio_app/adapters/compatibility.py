"""Compatibility checks of the installed dependencies, at start-up.

This package extends classes of uvicorn and python-engineio. Its metadata excludes
versions that are too old, but a version that is newer than any tested one may be installed. These
checks then prevent failing connections: WebSockets are taken over only from tested versions that
have every name this package uses; with any other version, the ASGI server's own implementation
serves them.

A test compares the names below with those that this package's classes use.
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
TAKEOVER_PROTOCOL = "socketio_app.adapters.websocket.uvicorn_protocol"

NEWEST_TESTED: Mapping[str, tuple[int, ...]] = {
    "python-engineio": (4, 15),
    "uvicorn": (0, 54),
    "websockets": (17,),
}
"""Newest tested version of each dependency, as far as its numbers matter."""

Methods = Mapping[str, Sequence[str]]
"""Parameter names of a class's methods, by method name."""

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
    "on_task_complete": ["task"],
    "shutdown": [],
}
WEBSOCKET_ATTRIBUTES = [
    "app",
    "app_state",
    "asgi_version",
    "client",
    "close_timer",
    "config",
    "conn",
    "connections",
    "default_headers",
    "disconnected",
    "frames",
    "handshake_complete",
    "handshake_initiated",
    "initial_response",
    "logger",
    "loop",
    "ping_interval",
    "queue",
    "response",
    "root_path",
    "scheme",
    "scope",
    "server",
    "tasks",
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
    """Return how a class differs from what is expected of it.

    Args:
        a_class: the class to check.
        methods: methods that it must have.
        attributes: attributes that the class, its bases or their methods must set.
    """
    found = []
    for name, parameters in methods.items():
        method = getattr(a_class, name, None)
        if method is None:
            found.append(f"{name} is missing")
        elif [each for each in inspect.signature(method).parameters if each != "self"] != [
            *parameters
        ]:
            found.append(f"{name} has other parameters")
    has = set(_attributes_set(a_class))
    return found + [f"{each} is missing" for each in attributes if each not in has]


def _attributes_set(a_class: type) -> Iterable[str]:
    """Yield the attributes of a class, and those that its methods set."""
    yield from dir(a_class)
    for each in a_class.__mro__:
        for method in vars(each).values():
            if inspect.isfunction(method):
                for instruction in dis.get_instructions(method):
                    if instruction.opname == "STORE_ATTR":
                        yield instruction.argval


def untested(*packages: str) -> Sequence[str]:
    """Return a problem for each package that is newer than its newest tested version."""
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
    """Return the reasons not to take WebSockets over from uvicorn; empty if there are none."""
    try:
        base: type = import_module(UVICORN).WebSocketsSansIOProtocol
        import_module(TAKEOVER_PROTOCOL)
    except (ImportError, AttributeError) as error:
        return [str(error)]
    found = differences(base, WEBSOCKET_METHODS, WEBSOCKET_ATTRIBUTES)
    return [*found, *untested("uvicorn", "websockets")]


def websocket_protocol() -> type | str:
    """Return the value of uvicorn's `ws` option: `TakeoverProtocol`, or `auto` as a fallback.

    The fallback is several times slower; the log has the reason.
    """
    found = takeover_problems()
    if not found:
        protocol: type = import_module(TAKEOVER_PROTOCOL).TakeoverProtocol
        return protocol
    log.warning(
        "WebSockets fall back to uvicorn's own implementation, which is several times slower: "
        "unsupported uvicorn %s or websockets %s: %s",
        version("uvicorn"),
        version("websockets"),
        ", ".join(found),
    )
    return "auto"


def http_protocol() -> type | str:
    """Return the value of uvicorn's `http` option: `BoundedHttpProtocol`, or `auto` as a fallback.

    The fallback does not limit requests; the log has the reason.
    """
    try:
        base: type = import_module(UVICORN_HTTP).HttpToolsProtocol
        protocol: type = import_module(HTTP_PROTOCOL).BoundedHttpProtocol
        found = differences(base, HTTP_METHODS, HTTP_ATTRIBUTES)
        if not found:
            return protocol
    except (ImportError, AttributeError) as error:
        found = [str(error)]
    log.warning(
        "HTTP request limits are disabled: unsupported uvicorn %s: %s",
        version("uvicorn"),
        ", ".join(found),
    )
    return "auto"


@cache
def engine_problems(server: type) -> Sequence[str]:
    """Return how python-engineio differs from the tested versions."""
    return [
        *differences(server, ENGINE_METHODS, ENGINE_ATTRIBUTES),
        *untested("python-engineio"),
    ]


def check_engine(server: type) -> None:
    """Log a warning if python-engineio is not supported."""
    found = engine_problems(server)
    if found:
        log.warning(
            "connections may fail: unsupported python-engineio %s: %s",
            version("python-engineio"),
            ", ".join(found),
        )
