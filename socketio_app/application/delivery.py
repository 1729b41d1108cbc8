"""Delivery receipts: notify the sender when a recipient's client has received a message."""

from collections.abc import Sequence
from datetime import timedelta

from socketio_app.application.commands import CaughtUp
from socketio_app.application.events import MessageDelivered, Users
from socketio_app.application.ports import Broadcast, Clock, DeliveryLog
from socketio_app.domain.history import Page
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Draft, Message


class Delivery:
    """Records deliveries and notifies the sender of each one once."""

    def __init__(self, deliveries: DeliveryLog, broadcast: Broadcast, clock: Clock) -> None:
        self._deliveries = deliveries
        self._broadcast = broadcast
        self._clock = clock
        self._sending: dict[str, int] = {}
        """Number of unacknowledged sends, by message key."""
        self._early: dict[str, list[Message]] = {}
        """Messages delivered before their send was acknowledged, by message key."""

    def confirm(self, messages: Sequence[Message]) -> None:
        """Record personal messages as delivered, once a client of the recipient confirms them.

        Does not wait for the store. A delivery that cannot be stored is lost: the message remains
        undelivered and is pushed again when the recipient next connects.
        """
        self._deliveries.delivered(messages, self._notify_senders)

    def written_to_room(self, message: Message) -> None:
        """Notify the sender that a message was written to the live connections of its room."""
        event = MessageDelivered(message, self._clock.now())
        self._broadcast.publish(event, Users((message.from_user_id,)))

    def hold_receipt(self, draft: Draft) -> str:
        """Hold back the draft's receipt until its send is acknowledged.

        Returns:
            The key to release it with.
        """
        key = draft.client_message_id or draft.message_id
        self._sending[key] = self._sending.get(key, 0) + 1
        return key

    def release_receipt(self, key: str) -> None:
        """Send the receipt held back meanwhile, if any, right after the acknowledgement."""
        waiting = self._sending.pop(key) - 1
        if waiting:
            self._sending[key] = waiting
        elif self._early and key in self._early:
            early = self._early.pop(key)
            self._clock.call_later(timedelta(0), lambda: self._notify_senders(early))

    def _notify_senders(self, messages: Sequence[Message]) -> None:
        now = self._clock.now()
        for message in messages:
            if self._sending and (key := _key(message)) in self._sending:
                self._early.setdefault(key, []).append(message)
            else:
                audience = Users((message.from_user_id,))
                self._broadcast.publish(MessageDelivered(message, now), audience)


def messages_to(user_id: UserId, result: object) -> Sequence[Message]:
    """Return the personal messages to a user in a command's result."""
    if isinstance(result, Page):
        return [message for message in result.messages if message.to_user_id == user_id]
    if isinstance(result, CaughtUp):
        found = (message for missed in result.conversations for message in missed.messages)
        return [message for message in found if message.to_user_id == user_id]
    return ()


def _key(message: Message) -> str:
    """Return a key that a message and all attempts to send it have in common.

    Two clients may choose the same one; at worst, a receipt is then sent a little later.
    """
    return message.client_message_id or message.message_id
