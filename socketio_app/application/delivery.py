"""The use case of delivery: a message has come to its recipient, and its sender is told."""

from collections.abc import Sequence

from socketio_app.application.events import MessageDelivered, Users
from socketio_app.application.ports import Broadcast, Clock, DeliveryLog
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message


class Delivery:
    """Remembers what was handed over, and tells the sender once."""

    def __init__(self, deliveries: DeliveryLog, broadcast: Broadcast, clock: Clock) -> None:
        self._deliveries = deliveries
        self._broadcast = broadcast
        self._clock = clock

    def handed_to(self, user_id: UserId, messages: Sequence[Message]) -> None:
        """Messages of the user's conversations were handed to one of their connections.

        Those to the user count as delivered. Nobody waits for that to be stored: where it cannot
        be, they are undelivered still, and given again when the user next connects.
        """
        to_user = [message for message in messages if message.to_user_id == user_id]
        if to_user:
            self._deliveries.delivered(to_user, self._tell_senders)

    def handed_live(self, message: Message) -> None:
        """A personal message was handed to its recipient's connections as it was sent."""
        self._deliveries.delivered([message], self._tell_senders)

    def handed_to_room(self, message: Message) -> None:
        """A room's message was handed to the members' live connections."""
        self._tell_senders([message])

    def _tell_senders(self, messages: Sequence[Message]) -> None:
        for message in messages:
            event = MessageDelivered(message, self._clock.now())
            self._broadcast.tell(event, Users((message.from_user_id,)))
