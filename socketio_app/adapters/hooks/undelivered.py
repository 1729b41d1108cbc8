"""Personal messages that have not been delivered yet, until they are or a time has passed."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from socketio_app.application.cancellation import start_task
from socketio_app.application.ports import Clock, DeliveryLog, Timer
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import MessageId
from socketio_app.domain.messaging import Message

log = logging.getLogger("socketio_app.hooks")

MAX_WATCHED: Final = 100_000
"""Maximum number of messages that are watched; further ones are not."""

MAX_BATCH: Final = 500
"""Maximum number of messages that are looked up in the store together."""

RETRY_DELAY: Final = timedelta(seconds=1)
"""Delay before the store is asked again after it was unavailable."""


class UndeliveredMessages:
    """Finds messages that are still undelivered after a time.

    All messages wait for the same time, and so become due in the order in which they were sent: one
    timer serves all of them. Another process may have delivered a message; therefore the store has
    the last word.

    Args:
        deliveries: what was delivered.
        clock: the clock.
        after: time that a message has to be delivered.
        report: called with each message that was not.
        drop: called with each message that is not watched, because there are too many.
    """

    def __init__(
        self,
        deliveries: DeliveryLog,
        clock: Clock,
        after: timedelta,
        report: Callable[[Message], None],
        drop: Callable[[Message], None],
    ) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._after = after
        self._report = report
        self._drop = drop
        self._watched: dict[MessageId, tuple[datetime, Message]] = {}
        """Messages and when they are due, in this order."""
        self._timer: Timer | None = None
        self._is_checking = False

    def sent(self, message: Message) -> None:
        """Watch a personal message."""
        if len(self._watched) >= MAX_WATCHED:
            self._drop(message)
            return
        self._watched[message.message_id] = (self._clock.now() + self._after, message)
        self._schedule()

    def delivered(self, message: Message) -> None:
        """Watch a message no longer."""
        self._watched.pop(message.message_id, None)

    def clear(self) -> None:
        """Watch no message."""
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, at_least: timedelta = timedelta(0)) -> None:
        if self._timer is None and not self._is_checking and self._watched:
            due, _ = next(iter(self._watched.values()))
            delay = max(due - self._clock.now(), at_least)
            self._timer = self._clock.call_later(delay, self._begin_check)

    def _begin_check(self) -> None:
        self._timer = None
        self._is_checking = True
        start_task(self._check())

    async def _check(self) -> None:
        delay = timedelta(0)
        try:
            while due := self._due():
                await self._report_undelivered(due)
        except Unavailable:  # the store logs its outage
            delay = RETRY_DELAY
        except Exception:
            log.exception("cannot look up undelivered messages")
            delay = RETRY_DELAY
        finally:
            self._is_checking = False
            self._schedule(delay)

    def _due(self) -> Sequence[Message]:
        now = self._clock.now()
        found: list[Message] = []
        for due, message in self._watched.values():
            if due > now or len(found) == MAX_BATCH:
                break
            found.append(message)
        return found

    async def _report_undelivered(self, due: Sequence[Message]) -> None:
        undelivered = await self._deliveries.still_undelivered(due)
        # Those that were delivered meanwhile are no longer watched.
        watched = {each.message_id for each in due if self._watched.pop(each.message_id, None)}
        for message in undelivered:
            if message.message_id in watched:
                self._report(message)
