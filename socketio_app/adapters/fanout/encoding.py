"""How a transport encodes events as frames."""

from collections.abc import Callable

import attrs

from socketio_app.adapters.websocket.frames import Frame
from socketio_app.application.events import Event


@attrs.frozen
class Encoding:
    """A transport's encoding of events."""

    event_frame: Callable[[Event], Frame]
    """Encodes an event, once for all connections of the transport."""
    last_frame: Frame | None
    """The transport's last frame to a client that must not reconnect; `None` if it has none."""
