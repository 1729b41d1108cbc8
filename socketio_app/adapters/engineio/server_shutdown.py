"""Detection of uvicorn's shutdown before it waits for open requests.

uvicorn ends the lifespan only after the last request is complete, and a long poll does not complete
by itself. Before that, however, it calls `shutdown` on each of its connections, including the
pseudo-connection added here.
"""

from collections.abc import Callable

from socketio_app.adapters.websocket.tcp import transport_behind


class ShutdownNotice:
    """A pseudo-connection of uvicorn's that calls `on_shutdown` when uvicorn shuts down."""

    def __init__(self, on_shutdown: Callable[[], None]) -> None:
        self._on_shutdown = on_shutdown
        self._connections: set[object] = set()

    def watch(self, receive: object) -> None:
        """Add this object to the connections of the server that `receive` belongs to, if uvicorn.

        Nothing happens with other servers, or if middleware has wrapped `receive`.
        """
        transport = transport_behind(receive)
        if transport is None:
            return
        connections = getattr(transport.get_protocol(), "connections", None)
        if isinstance(connections, set) and self not in connections:
            self.leave()
            connections.add(self)
            self._connections = connections

    def leave(self) -> None:
        """Remove this object: the server waits until no connection is left."""
        self._connections.discard(self)

    def shutdown(self) -> None:
        """Call `on_shutdown`. Called by uvicorn."""
        self.leave()
        self._on_shutdown()
