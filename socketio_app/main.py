"""Public import path of `create_socketio_app` and `add_chat`."""

from socketio_app.entrypoints.asgi import add_chat, create_socketio_app

__all__ = ["add_chat", "create_socketio_app"]
