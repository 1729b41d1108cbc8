"""The epoch of the database, which changes while the server runs when a backup is restored."""

import logging
from collections.abc import Callable

log = logging.getLogger("socketio_app.store")


class Epoch:
    """The epoch that was read last.

    Args:
        on_change: Called when it is another than before.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.value = ""

    def update(self, value: str) -> None:
        """Take what was just read."""
        if value == self.value:
            return
        if self.value:
            log.warning("database identity changed")
            self._on_change()
        self.value = value
