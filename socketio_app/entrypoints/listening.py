"""Binding the address of the standalone server before anything else is started."""

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence

from socketio_app.entrypoints.settings import Settings, SettingsError


@contextlib.contextmanager
def bound_sockets(settings: Settings) -> Iterator[list[socket.socket]]:
    """Bind the chat's port on each address of `HOST`; close the sockets afterwards.

    Raises:
        SettingsError: an address cannot be bound, for example because the port is in use.
    """
    host, port = settings.host, settings.chat_port
    with contextlib.ExitStack() as stack:
        try:
            places = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            sockets = _bind_all(places, stack)
        except OSError as error:
            reason = error.strerror or error
            raise SettingsError(
                f"cannot bind SOCKETIO_PORT {port} of HOST {host}: {reason}"
            ) from None
        yield sockets


Place = tuple[int, int, int, str, "tuple[object, ...]"]


def _bind_all(places: Sequence[Place], stack: contextlib.ExitStack) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _name, address in dict.fromkeys(places):
        # With the protocol of TCP, for which asyncio disables Nagle's algorithm.
        one = stack.enter_context(socket.socket(family, kind, protocol))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            one.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            missing = error  # `localhost` may have an IPv6 address although the machine has none
        else:
            sockets.append(one)
    if missing is not None and not sockets:
        raise missing
    return sockets
