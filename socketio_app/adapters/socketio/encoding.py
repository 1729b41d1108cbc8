"""Events as Socket.IO packets."""

from typing import Final

from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.socketio.packets import DISCONNECT_FRAME, event_frame
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.wire import outgoing
from socketio_app.application.events import Event


def encode_event(event: Event) -> Frame:
    """Encode an event as a packet in a WebSocket frame."""
    return event_frame(outgoing.EVENTS[type(event)](event))


SOCKETIO_ENCODING: Final = Encoding(event_frame=encode_event, last_frame=DISCONNECT_FRAME)
