"""The use case of delivery: a message has come to its recipient, and its sender is told."""

from socketio_app.application.events import MessageDelivered, Users
from socketio_app.application.ports import Broadcast, Clock, DeliveryLog
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.messaging import Message


class Delivery:
    """Remembers what was handed over, and tells the sender once."""

    def __init__(self, deliveries: DeliveryLog, broadcast: Broadcast, clock: Clock) -> None:
        self._deliveries = deliveries
        self._broadcast = broadcast
        self._clock = clock

    async def handed_to_recipient(self, message: Message) -> None:
        """A personal message was handed to a live connection of its recipient.

        Where the store cannot note it now, the message counts as undelivered and is given again
        when the recipient next connects.
        """
        try:
            first_time = await self._deliveries.delivered(message)
        except Unavailable:
            return
        if first_time:
            self._tell_sender(message)

    def handed_to_room(self, message: Message) -> None:
        """A room's message was handed to the members' live connections."""
        self._tell_sender(message)

    def _tell_sender(self, message: Message) -> None:
        conversation = message.conversation
        event = MessageDelivered(
            message.message_id,
            message.client_message_id,
            message.to_user_id,
            conversation.room_id if isinstance(conversation, Room) else None,
            message.seq,
            self._clock.now(),
        )
        self._broadcast.tell(event, Users((message.from_user_id,)))
