"""What a connection is given first."""

import attrs

from socketio_app.application.backlog import Backlog
from socketio_app.application.events import Connected


@attrs.frozen
class Opening:
    """A connection that is about to open, and what to hand to it first, in this order."""

    connected: Connected
    backlog: Backlog
    """What the user has missed. The rest follows as fast as the client takes it."""
