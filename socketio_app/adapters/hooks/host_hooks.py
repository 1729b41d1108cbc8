"""Calls the hooks of the host application."""

import asyncio
from datetime import timedelta
from typing import Any

from socketio_app.adapters.hooks.call_queue import CallQueue
from socketio_app.adapters.hooks.host_hook import HostHook
from socketio_app.adapters.hooks.undelivered import UndeliveredMessages
from socketio_app.application.cancellation import start_task
from socketio_app.application.hooks import ConnectionClosed, ConnectionOpened, Hook, Hooks
from socketio_app.application.metrics import Metrics
from socketio_app.application.ports import Clock, DeliveryLog
from socketio_app.domain.messaging import Message


class HostHooks:
    """Calls hooks in the background. Implements `Listener`.

    Args:
        hooks: the hooks.
        deliveries: which messages were delivered.
        clock: the clock.
        metrics: where calls are counted, if anywhere.
    """

    def __init__(
        self, hooks: Hooks, deliveries: DeliveryLog, clock: Clock, metrics: Metrics | None = None
    ) -> None:
        # Apart, so that a slow hook does not delay those for something else.
        self._messages = CallQueue(hooks, metrics)
        self._connections = CallQueue(hooks, metrics)
        self._pushes = CallQueue(hooks, metrics)
        self._queues = (self._messages, self._connections, self._pushes)
        self._on_message = _named("on_message", hooks.on_message)
        self._on_connect = _named("on_connect", hooks.on_connect)
        self._on_disconnect = _named("on_disconnect", hooks.on_disconnect)
        on_undelivered = _named("on_undelivered", hooks.on_undelivered)
        self._undelivered = (
            None
            if on_undelivered is None
            else UndeliveredMessages(
                deliveries,
                clock,
                timedelta(seconds=hooks.undelivered_after_seconds),
                lambda each: self._pushes.put(on_undelivered, each.conversation, each),
                lambda _: self._pushes.drop(on_undelivered),
            )
        )

    @property
    def waiting(self) -> int:
        """Number of calls that have not begun."""
        return sum(queue.waiting for queue in self._queues)

    def message_sent(self, message: Message) -> None:
        """See `Listener.message_sent`."""
        if self._on_message is not None:
            self._messages.put(self._on_message, message.conversation, message)
        if self._undelivered is not None and message.to_user_id is not None:
            self._undelivered.sent(message)

    def message_delivered(self, message: Message) -> None:
        """See `Listener.message_delivered`."""
        if self._undelivered is not None:
            self._undelivered.delivered(message)

    def connection_opened(self, connection: ConnectionOpened) -> None:
        """See `Listener.connection_opened`."""
        if self._on_connect is not None:
            self._connections.put(self._on_connect, connection.user_id, connection)

    def connection_closed(self, connection: ConnectionClosed) -> None:
        """See `Listener.connection_closed`."""
        if self._on_disconnect is not None:
            self._connections.put(self._on_disconnect, connection.user_id, connection)

    def open(self) -> None:
        """Start calling hooks. Can be called after `close`."""
        for queue in self._queues:
            queue.open()

    async def close(self) -> None:
        """Finish the waiting calls in the time that they have, and stop calling hooks."""
        if self._undelivered is not None:
            self._undelivered.clear()
        closing = [start_task(queue.close()) for queue in self._queues]
        await asyncio.wait(closing)
        for each in closing:
            each.result()


def _named(name: str, function: Hook[Any] | None) -> HostHook | None:
    return None if function is None else HostHook(name, function)
