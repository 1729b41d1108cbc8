"""Access to the sessions of a server, for conditions that are not visible to clients."""

from typing import Any

from socketio_app.entrypoints.composition import Composition


def only_session(composition: Composition) -> Any:
    """Return the Engine.IO session of the only client."""
    (session,) = composition.server.sessions
    return session
