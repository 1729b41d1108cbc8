"""Readiness: whether load balancers should send new clients to this server."""

import asyncio
import logging
from datetime import timedelta
from typing import Literal

from socketio_app.application.cancellation import start_task
from socketio_app.application.ports import Store
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app")

NotReadyReason = Literal["not_started", "draining", "store_unavailable"]
"""Why the server is not ready."""

STORE_CHECK_TIMEOUT = timedelta(seconds=2)
"""Time-out of the store check. Load balancers wait no longer than a few seconds themselves."""


class Readiness:
    """Reports whether the server has started, is draining, and whether the store responds.

    Concurrent requests share a single store check.

    Args:
        store: the store to check.
        limit: time-out of the check.
    """

    def __init__(self, store: Store, limit: timedelta = STORE_CHECK_TIMEOUT) -> None:
        self._store = store
        self._limit = limit
        self._asking: asyncio.Task[bool] | None = None
        self._reason: NotReadyReason | None = "not_started"

    def drain(self) -> None:
        """Report that the server is not ready because it is about to shut down."""
        self._reason = "draining"

    def open(self) -> None:
        """Report the state of the store, from now on: the chat has started, or started again."""
        self._reason = None

    async def not_ready_reason(self) -> NotReadyReason | None:
        """Return why the server is not ready, or `None` if it is."""
        if self._reason is not None:
            return self._reason
        if self._asking is None:
            self._asking = start_task(self._store_answers())
            self._asking.add_done_callback(self._asked)
        # Shielded: the first caller may be cancelled while others still wait.
        return None if await asyncio.shield(self._asking) else "store_unavailable"

    def _asked(self, _task: "asyncio.Task[bool]") -> None:
        self._asking = None

    async def _store_answers(self) -> bool:
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                await self._store.check()
        except (TimeoutError, Unavailable):
            return False
        except Exception:
            log.exception("store check failed")
            return False
        return True
