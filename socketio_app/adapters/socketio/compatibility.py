"""Whether what is installed still is what this package was built on.

The versions that were tested are in the package's metadata. Who installs others finds out here, at
start-up, and not by a fault of one connection.
"""

import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from types import CodeType

log = logging.getLogger("socketio_app.socketio")

UVICORN = "uvicorn.protocols.websockets.websockets_sansio_impl"
FAST_PROTOCOL = "socketio_app.adapters.socketio.fast_protocol"

Methods = Mapping[str, Sequence[str]]
"""The names of a class's methods, and of the parameters of each."""

WEBSOCKET_METHODS: Methods = {
    "handle_connect": ["event"],
    "receive": [],
    "run_asgi": [],
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
    "logger",
    "loop",
    "queue",
    "transport",
    "writable",
]
SERVER_METHODS: Methods = {
    "_engineio_server_class": [],
    "_handle_connect": ["eio_sid", "namespace", "data"],
    "_handle_disconnect": ["eio_sid", "namespace", "reason"],
    "_send_packet": ["eio_sid", "pkt"],
}
ENGINE_METHODS: Methods = {
    "_bad_request": ["message"],
    "_log_error_once": ["message", "message_key"],
    "_method_not_found": [],
    "_make_response": ["response_dict", "environ"],
    "create_queue": ["args", "kwargs"],
    "handle_request": ["args", "kwargs"],
    "_cors_allowed_origins": ["environ"],
    "_handle_connect": ["environ", "transport", "jsonp_index"],
    "_ok": ["packets", "headers", "jsonp_index"],
    "_trigger_event": ["event", "args", "kwargs"],
    "_upgrades": ["sid", "transport"],
    "generate_id": [],
}
MANAGER_METHODS: Methods = {
    "basic_disconnect": ["sid", "namespace", "kwargs"],
    "basic_enter_room": ["sid", "namespace", "room", "eio_sid"],
    "basic_leave_room": ["sid", "namespace", "room"],
}
ENGINE_SOCKET_METHODS: Methods = {
    "_upgrade_websocket": ["environ"],
    "check_ping_timeout": [],
    "close": ["wait", "abort", "reason"],
    "handle_get_request": ["environ"],
    "handle_post_request": ["environ"],
    "schedule_ping": [],
    "send": ["pkt"],
}


def differences(a_class: type, methods: Methods, attributes: Iterable[str] = ()) -> Sequence[str]:
    """What a class does not have, or has otherwise.

    Args:
        a_class: the class.
        methods: the methods that it should have.
        attributes: what its `__init__` should set.
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
    code: CodeType = a_class.__init__.__code__  # type: ignore[misc]
    return found + [f"{each} is gone" for each in attributes if each not in code.co_names]


def websocket_protocol() -> type | str:
    """What to give uvicorn as `ws`: ours, which is several times faster; or else its own.

    Where it is not ours, the log says why.
    """
    try:
        base: type = import_module(UVICORN).WebSocketsSansIOProtocol
        ours: type = import_module(FAST_PROTOCOL).FastProtocol
        found = differences(base, WEBSOCKET_METHODS, WEBSOCKET_ATTRIBUTES)
        if not found:
            return ours
    except (ImportError, AttributeError) as error:
        found = [str(error)]
    log.warning(
        "WebSockets go the plain way, which is several times slower: uvicorn %s is not what this "
        "was built on: %s",
        version("uvicorn"),
        ", ".join(found),
    )
    return "auto"


def check_engine(server: type, manager: type, engine: type, engine_socket: type) -> None:
    """Warn of a python-socketio or python-engineio that is not what this was built on."""
    found = [
        *differences(server, SERVER_METHODS),
        *differences(manager, MANAGER_METHODS),
        *differences(engine, ENGINE_METHODS),
        *differences(engine_socket, ENGINE_SOCKET_METHODS),
    ]
    if found:
        log.warning(
            "connections may fail: python-socketio %s and python-engineio %s are not what this "
            "was built on: %s",
            version("python-socketio"),
            version("python-engineio"),
            ", ".join(found),
        )
