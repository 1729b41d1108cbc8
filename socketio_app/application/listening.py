"""Listening to the chat: for adapters that tell others what happens in it."""

from typing import Protocol

from socketio_app.application.events import (
    Audience,
    Event,
    MessageDelivered,
    MessageSent,
)
from socketio_app.application.hooks import ConnectionClosed, ConnectionOpened
from socketio_app.application.ports import Broadcast
from socketio_app.domain.messaging import Message


class Listener(Protocol):
    """Is called when something happens in this process. Its methods never wait or fail."""

    def message_sent(self, message: Message) -> None:
        """Called after a message was stored and broadcast; in order within a conversation."""
        ...

    def message_delivered(self, message: Message) -> None:
        """Called after a personal message was delivered to its recipient for the first time."""
        ...

    def connection_opened(self, connection: ConnectionOpened) -> None:
        """Called after a connection was opened."""
        ...

    def connection_closed(self, connection: ConnectionClosed) -> None:
        """Called after a connection was closed."""
        ...


class ListeningBroadcast:
    """Calls a listener for each message that is broadcast. Implements `Broadcast`.

    A chat without a listener has none of these, and no overhead.
    """

    def __init__(self, broadcast: Broadcast, listener: Listener) -> None:
        self._broadcast = broadcast
        self._listener = listener
        self.disconnect = broadcast.disconnect
        self.is_subscribed = broadcast.is_subscribed
        self.pause = broadcast.pause
        self.subscribe = broadcast.subscribe
        self.unsubscribe = broadcast.unsubscribe
        self.wait_until_caught_up = broadcast.wait_until_caught_up

    def publish(self, event: Event, audience: Audience) -> None:
        """See `Broadcast.publish`."""
        self._broadcast.publish(event, audience)
        if type(event) is MessageSent:
            self._listener.message_sent(event.message)
        elif type(event) is MessageDelivered and event.message.to_user_id is not None:
            self._listener.message_delivered(event.message)
