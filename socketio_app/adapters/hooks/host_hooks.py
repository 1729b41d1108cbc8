"""Calls the hooks of the host application."""

import asyncio
from typing import Any

from socketio_app.adapters.hooks.call_queue import CallQueue
from socketio_app.adapters.hooks.host_hook import HostHook
from socketio_app.application.cancellation import start_task
from socketio_app.application.hooks import ConnectionClosed, ConnectionOpened, Hook, Hooks
from socketio_app.application.metrics import Metrics
from socketio_app.domain.messaging import Message


class HostHooks:
    """Calls hooks in the background. Implements `Listener`.

    Args:
        hooks: the hooks.
        metrics: where calls are counted, if anywhere.
    """

    def __init__(self, hooks: Hooks, metrics: Metrics | None = None) -> None:
        # Apart, so that a slow hook for messages does not delay those for connections.
        self._messages = CallQueue(hooks, metrics)
        self._connections = CallQueue(hooks, metrics)
        self._on_message = _named("on_message", hooks.on_message)
        self._on_connect = _named("on_connect", hooks.on_connect)
        self._on_disconnect = _named("on_disconnect", hooks.on_disconnect)

    @property
    def waiting(self) -> int:
        """Number of calls that have not begun."""
        return self._messages.waiting + self._connections.waiting

    def message_sent(self, message: Message) -> None:
        """See `Listener.message_sent`."""
        if self._on_message is not None:
            self._messages.put(self._on_message, message.conversation, message)

    def message_delivered(self, message: Message) -> None:
        """See `Listener.message_delivered`."""

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
        self._messages.open()
        self._connections.open()

    async def close(self) -> None:
        """Finish the waiting calls in the time that they have, and stop calling hooks."""
        closing = [start_task(each.close()) for each in (self._messages, self._connections)]
        await asyncio.wait(closing)
        for each in closing:
            each.result()


def _named(name: str, function: Hook[Any] | None) -> HostHook | None:
    return None if function is None else HostHook(name, function)
