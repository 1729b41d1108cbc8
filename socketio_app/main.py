"""Public import path of `create_socketio_app`."""

from socketio_app.entrypoints.asgi import create_socketio_app

__all__ = ["create_socketio_app"]
