"""What a connection is given first."""

from collections.abc import Sequence

import attrs

from socketio_app.application.events import Connected
from socketio_app.domain.messaging import Message


@attrs.frozen
class Opening:
    """A connection that is about to open, and what to hand to it first, in this order."""

    connected: Connected
    undelivered: Sequence[Message]
