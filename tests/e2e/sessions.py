"""A look inside a server, where nothing on the wire says what a test waits for."""

from typing import Any

from socketio_app.entrypoints.composition import Composition


def only_session(composition: Composition) -> Any:
    """The Engine.IO session of the only client."""
    (session,) = composition.server.sessions
    return session
