"""Whether new clients should come here, as a load balancer asks it."""

import asyncio
import logging
from datetime import timedelta
from typing import Literal

from socketio_app.application.cancellation import start_task
from socketio_app.application.ports import Store
from socketio_app.domain.errors import Unavailable

log = logging.getLogger("socketio_app")

Obstacle = Literal["draining", "store_unavailable"]
"""Why new clients should go elsewhere."""

STORE_LIMIT = timedelta(seconds=2)
"""How long the store may take to answer; those who ask wait no longer than some seconds."""


class Readiness:
    """Knows whether the server is ending, and asks the store whether it is there.

    However many ask at the same time, the store is asked once.

    Args:
        store: what to ask.
        limit: how long it may take to answer.
    """

    def __init__(self, store: Store, limit: timedelta = STORE_LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._asking: asyncio.Task[bool] | None = None
        self._is_draining = False

    def drain(self) -> None:
        """From now on new clients should go elsewhere: the server is about to end."""
        self._is_draining = True

    def open(self) -> None:
        """It begins, perhaps again."""
        self._is_draining = False

    async def obstacle(self) -> Obstacle | None:
        """Why new clients should not come; `None` where they may."""
        if self._is_draining:
            return "draining"
        if self._asking is None:
            self._asking = start_task(self._store_answers())
            self._asking.add_done_callback(self._asked)
        # Who asked first may go away, and the others wait still.
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
            log.exception("fault while asking whether the store is there")
            return False
        return True
