"""The use case of messaging."""

from socketio_app.application.access import conversation_for
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.delivery import Delivery
from socketio_app.application.events import Audience, Members, MessageSent, Users
from socketio_app.application.ports import Broadcast, Clock, NewMessageId, Store
from socketio_app.application.rules import Rules
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.application.uncertain import Uncertain
from socketio_app.domain.conversations import Room, conversation_of
from socketio_app.domain.errors import Conflict, Unavailable
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.messaging import Draft, Message, Stored, check_content


class Messaging:
    """Stores messages and tells their conversations."""

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        clock: Clock,
        new_message_id: NewMessageId,
        delivery: Delivery,
        typing: TypingIndicator,
        rules: Rules,
    ) -> None:
        self._messages = store.messages
        self._rooms = store.rooms
        self._broadcast = broadcast
        self._clock = clock
        self._new_message_id = new_message_id
        self._delivery = delivery
        self._typing = typing
        self._content_chars = rules.content_chars
        self._uncertain = Uncertain()

    async def send(self, actor: Actor, command: SendMessage) -> Stored:
        """Store a message and tell its conversation.

        Raises:
            ContentTooLong, InvalidPayload: the content is not fit for a message.
            NotAMember: the target is a room that the actor is not in.
            Conflict: the actor has used the `client_message_id` for a message with other content.
                Nothing was stored or sent.
            Unavailable: nobody was told, and nothing was stored; or that cannot be known, as where
                the connection to a database broke before it had answered. Who sends it again, with
                the same `client_message_id`, has it told then.
        """
        check_content(command.content, self._content_chars)
        target = command.target
        if isinstance(target, Room):
            await self._broadcast.keeping_up(target.room_id)
            conversation = await conversation_for(self._rooms, actor.user_id, target)
        else:
            conversation = conversation_of(actor.user_id, target)
        draft = Draft(
            self._new_message_id(),
            conversation,
            actor.user_id,
            command.content,
            self._clock.now(),
            command.client_message_id,
        )
        self._delivery.begin_sending(draft)
        try:
            stored = await self._messages.append(draft)
        except Unavailable:
            self._uncertain.note(draft)
            raise
        finally:
            self._delivery.end_sending(draft)
        if stored.duplicate and stored.message.content != draft.content:
            raise Conflict("client_message_id was used before, for a message with other content")
        was_uncertain = self._uncertain.settle(draft)
        if stored.duplicate and not was_uncertain:
            return stored
        # From here to the telling nothing may wait: appends return in the order of their places,
        # and so must the telling go.
        message = stored.message
        self._typing.end(actor.user_id, message.conversation)
        self._broadcast.tell(MessageSent(message), _readers(message, actor.connection_id))
        if message.to_user_id is None:
            self._delivery.written_to_room(message)
        return stored


def _readers(message: Message, sending: ConnectionId | None) -> Audience:
    """Everybody in the conversation, but for the connection that has the message already.

    Who writes to themselves gets it as its recipient, on the sending connection too.
    """
    conversation = message.conversation
    if isinstance(conversation, Room):
        return Members(conversation.room_id, but_connection=sending)
    if conversation.first == conversation.second:
        return Users((conversation.first,))
    return Users((conversation.first, conversation.second), but_connection=sending)
