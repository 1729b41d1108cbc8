"""The use case of delivery: a recipient's client has a message, and its sender is notified."""

from collections.abc import Sequence
from datetime import timedelta

from socketio_app.application.commands import CaughtUp
from socketio_app.application.events import MessageDelivered, Users
from socketio_app.application.ports import Broadcast, Clock, DeliveryLog
from socketio_app.domain.history import Page
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Draft, Message


class Delivery:
    """Remembers what was received, and notifies the sender once."""

    def __init__(self, deliveries: DeliveryLog, broadcast: Broadcast, clock: Clock) -> None:
        self._deliveries = deliveries
        self._broadcast = broadcast
        self._clock = clock
        self._sending: dict[str, int] = {}
        """How many senders wait for an acknowledgement, by the names of their messages."""
        self._early: dict[str, list[Message]] = {}
        """Messages that were delivered while their senders wait for the acknowledgement."""

    def received(self, messages: Sequence[Message]) -> None:
        """Count personal messages as delivered: a client of their recipient has confirmed them.

        This does not wait. What cannot be stored now stays undelivered, and is pushed again when
        the recipient next connects.
        """
        self._deliveries.delivered(messages, self._notify_senders)

    def written_to_room(self, message: Message) -> None:
        """Notify the sender: a room's message was written to the members' live connections."""
        self._notify(message)

    def begin_sending(self, draft: Draft) -> None:
        """Withhold the draft's receipt until its sender has the acknowledgement."""
        name = _name(draft)
        self._sending[name] = self._sending.get(name, 0) + 1

    def end_sending(self, draft: Draft) -> None:
        """Send the receipt if it came meanwhile, after the acknowledgement, which is sent now."""
        name = _name(draft)
        waiting = self._sending.pop(name) - 1
        if waiting:
            self._sending[name] = waiting
        elif name in self._early:
            early = self._early.pop(name)
            self._clock.call_later(timedelta(0), lambda: self._notify_senders(early))

    def _notify_senders(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self._sending and (name := _name(message)) in self._sending:
                self._early.setdefault(name, []).append(message)
            else:
                self._notify(message)

    def _notify(self, message: Message) -> None:
        event = MessageDelivered(message, self._clock.now())
        self._broadcast.publish(event, Users((message.from_user_id,)))


def messages_to(user_id: UserId, result: object) -> Sequence[Message]:
    """The personal messages to a user that a command's result carries."""
    if isinstance(result, Page):
        return [message for message in result.messages if message.to_user_id == user_id]
    if isinstance(result, CaughtUp):
        found = (message for missed in result.conversations for message in missed.messages)
        return [message for message in found if message.to_user_id == user_id]
    return ()


def _name(message: Draft | Message) -> str:
    """The same for a message and all attempts to send it.

    Two clients may choose the same one. At worst a receipt is then sent a little later.
    """
    return message.client_message_id or message.message_id
