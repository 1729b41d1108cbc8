"""Noticing that uvicorn shuts down, before it waits for open requests.

uvicorn ends the lifespan when the last request has ended, and a long poll does not end by itself.
But first it calls `shutdown` on each of its connections. One of ours among them notices in time.
"""

from collections.abc import Callable

from socketio_app.adapters.websocket.tcp import transport_behind


class ShutdownNotice:
    """Stands among uvicorn's connections, and calls `on_shutdown` when they are shut down."""

    def __init__(self, on_shutdown: Callable[[], None]) -> None:
        self._on_shutdown = on_shutdown
        self._connections: set[object] = set()

    def watch(self, receive: object) -> None:
        """Join the connections of the server that a request came from, if it is uvicorn.

        Other servers have no such set, and neither has a `receive` that middleware has wrapped.
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
        """Leave the server's connections, as it waits until none is left."""
        self._connections.discard(self)

    def shutdown(self) -> None:
        """Called by uvicorn."""
        self.leave()
        self._on_shutdown()
