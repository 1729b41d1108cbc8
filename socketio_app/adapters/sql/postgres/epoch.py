"""The epoch of the database, which changes when a backup is restored while the server runs."""

import logging
from collections.abc import Callable

log = logging.getLogger("socketio_app.store")


class Epoch:
    """The last epoch read from the database.

    Args:
        on_change: called when the epoch changes.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.value = ""

    def update(self, value: str) -> None:
        """Set the epoch to a value that was just read."""
        if value == self.value:
            return
        if self.value:
            log.warning("database identity changed")
            self._on_change()
        self.value = value
