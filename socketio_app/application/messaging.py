"""Sending messages."""

from datetime import datetime

from socketio_app.application.authorization import conversation_for
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.delivery import Delivery
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Broadcast, Clock, NewMessageId, Store
from socketio_app.application.publishing import Publisher
from socketio_app.application.use_cases import carries_out
from socketio_app.domain.conversations import Conversation, Room, pair_of
from socketio_app.domain.errors import Conflict
from socketio_app.domain.identifiers import ConnectionId, MessageId
from socketio_app.domain.messaging import Draft, Stored, check_content


class Messaging:
    """Stores messages and broadcasts them to their conversations."""

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        clock: Clock,
        new_message_id: NewMessageId,
        delivery: Delivery,
        publisher: Publisher,
        limits: Limits,
    ) -> None:
        self._messages = store.messages
        self._append_now = store.capabilities.append
        self._rooms = store.rooms
        self._broadcast = broadcast
        self._clock = clock
        self._new_message_id = new_message_id
        self._delivery = delivery
        self._publisher = publisher
        self._content_chars = limits.max_content_chars

    @carries_out(SendMessage)
    async def send(self, actor: Actor, command: SendMessage) -> Stored:
        """Store a message and broadcast it to its conversation.

        Raises:
            ContentTooLong, InvalidPayload: the content is invalid.
            NotAMember: the target is a room that the actor is not in.
            Conflict: the actor has used the `client_message_id` for a message with different
                content. Nothing was stored or broadcast.
            Unavailable: nothing was stored, or the outcome is unknown, for example because the
                database connection was lost before the reply. A message that was stored is
                broadcast when it is resent with the same `client_message_id`, or before the
                conversation's next message.
        """
        check_content(command.content, self._content_chars)
        target = command.target
        if isinstance(target, Room):
            await self._broadcast.wait_until_caught_up(target.room_id)
            conversation = await conversation_for(self._rooms, actor.user_id, target)
        else:
            conversation = pair_of(actor.user_id, target.to_user_id)
        draft = draft_of(actor, command, conversation, self._new_message_id(), self._clock.now())
        if self._append_now is None:
            return await self.store(draft, actor.connection_id)
        return self._published(draft, self._append_now(draft), actor.connection_id)

    async def draft(self, actor: Actor, command: SendMessage) -> Draft:
        """Return the message that a command sends.

        Raises:
            ContentTooLong, InvalidPayload: the content is invalid.
            NotAMember: the target is a room that the actor is not in.
        """
        check_content(command.content, self._content_chars)
        target = command.target
        if isinstance(target, Room):
            conversation = await conversation_for(self._rooms, actor.user_id, target)
        else:
            conversation = pair_of(actor.user_id, target.to_user_id)
        return draft_of(actor, command, conversation, self._new_message_id(), self._clock.now())

    async def store(self, draft: Draft, sending: ConnectionId | None) -> Stored:
        """Store a message and broadcast it to its conversation.

        Args:
            draft: the message.
            sending: the connection that gets the message in its acknowledgement.

        Raises:
            Conflict, Unavailable: as for `send`.
        """
        # The receipt may come earlier than the reply of the store.
        receipt = self._delivery.hold_receipt(draft)
        try:
            stored = await self._messages.append(draft)
        except BaseException:
            self._publisher.mark_unconfirmed(draft)
            raise
        finally:
            self._delivery.release_receipt(receipt)
        # No await from here to `publish`: appends return in order of `seq`.
        return self._published(draft, stored, sending)

    def _published(self, draft: Draft, stored: Stored, sending: ConnectionId | None) -> Stored:
        if stored.duplicate:
            check_retry(draft, stored)
        self._publisher.publish(stored, sending)
        return stored


def draft_of(
    actor: Actor,
    command: SendMessage,
    conversation: Conversation,
    message_id: MessageId,
    now: datetime,
) -> Draft:
    """Return the message that a command sends to a conversation."""
    target = command.target
    return Draft(
        message_id,
        conversation,
        actor.user_id,
        None if isinstance(target, Room) else target.to_user_id,
        command.content,
        now,
        command.client_message_id,
    )


def check_retry(draft: Draft, stored: Stored) -> None:
    """Check that a message has the content of the one that was stored before.

    Raises:
        Conflict: it has other content.
    """
    if stored.message.content != draft.content:
        raise Conflict("client_message_id was already used for a message with other content")
