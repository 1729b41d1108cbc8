"""The first events of a connection."""

import attrs

from socketio_app.application.backlog import Backlog
from socketio_app.application.events import Connected


@attrs.frozen
class Opening:
    """A connection that is about to open: what to send first, in this order."""

    connected: Connected
    backlog: Backlog
    """Messages that the user has missed, sent in batches as fast as the client receives them."""
