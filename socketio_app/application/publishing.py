"""Publishing stored messages: in order of `seq`, each once, without gaps."""

from collections.abc import Iterable
from functools import partial

from socketio_app.application.delivery import Delivery
from socketio_app.application.events import MessageSent, audience_of
from socketio_app.application.ports import Broadcast, Store
from socketio_app.application.repairs import Repairs
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.domain.broadcast_order import BroadcastOrder, Gap
from socketio_app.domain.conversations import Conversation, Room
from socketio_app.domain.history import MAX_PAGE_ROWS, Window
from socketio_app.domain.identifiers import ConnectionId
from socketio_app.domain.messaging import Draft, Message, Stored


class Publisher:
    """Broadcasts messages in the order of their conversation's line.

    If a message would leave a gap, because the reply to an append was lost or another process
    stored the missing message, it waits until the gap has been read from the store. Waiting
    messages are not kept in memory; they are read from the store as well.
    """

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        delivery: Delivery,
        typing: TypingIndicator,
        repairs: Repairs,
    ) -> None:
        self._store = store
        self._epoch = store.epoch
        self._broadcast = broadcast
        self._delivery = delivery
        self._typing = typing
        self._repairs = repairs
        self._lines = BroadcastOrder()

    def publish(self, stored: Stored, sending: ConnectionId | None) -> None:
        """Broadcast a message, unless it has been broadcast already. Never waits.

        Appends return in order of `seq`; the caller must not await anything between an append's
        return and this call.

        Args:
            stored: the outcome of an append.
            sending: the connection that gets the message in its acknowledgement.
        """
        verdict = self._lines.offer(stored, sending)
        if verdict == "gap" and self._store.epoch != self._epoch:
            self.clear()  # the message is from another store, to which the marks do not apply
            verdict = self._lines.offer(stored, sending)
        if verdict == "next":
            self._send(stored.message, sending)
        elif verdict == "gap":
            conversation = stored.message.conversation
            self._repairs.request(conversation, partial(self._fill, conversation))

    def mark_unconfirmed(self, draft: Draft) -> None:
        """Record a message whose append has an unknown outcome."""
        self._lines.mark_unconfirmed(draft)

    def confirm(self, messages: Iterable[Message]) -> None:
        """Publish those of these stored messages that were in doubt."""
        for message in messages:
            if self._lines.is_unconfirmed(message):
                self.publish(Stored(message, duplicate=True), None)

    def clear(self) -> None:
        """Forget what was broadcast, for a store that may be a different one."""
        self._epoch = self._store.epoch
        self._lines.clear()

    async def _fill(self, conversation: Conversation) -> None:
        """Broadcast a conversation's missing messages and those waiting for them.

        Raises:
            Unavailable: the store cannot be read now.
        """
        while (gap := self._lines.gap(conversation)) is not None:
            if isinstance(conversation, Room):
                await self._broadcast.wait_until_caught_up(conversation.room_id)
            if gap.mark is None:
                window = Window(before_seq=gap.latest + 1, limit=MAX_PAGE_ROWS)
                page = await self._store.messages.page(conversation, window)
                self._lines.recover_mark(conversation, page.messages)
            else:
                await self._fill_page(conversation, gap, gap.mark)

    async def _fill_page(self, conversation: Conversation, gap: Gap, mark: int) -> None:
        window = Window(after_seq=mark, limit=MAX_PAGE_ROWS)
        page = await self._store.messages.page(conversation, window)
        missing = [message for message in page.messages if message.seq <= gap.latest]
        for message in missing:
            sending = gap.sending.get(message.seq)
            self._lines.advance(conversation, message.seq)
            self._send(message, sending)
        if not missing:  # the store no longer has them
            self._lines.advance(conversation, gap.latest)

    def _send(self, message: Message, sending: ConnectionId | None) -> None:
        sender, recipient = message.from_user_id, message.to_user_id
        self._typing.end(sender, message.conversation)
        if recipient == sender:
            sending = None  # a user who writes to themselves gets it on every connection
        audience = audience_of(message.conversation, sending)
        self._broadcast.publish(MessageSent(message), audience)
        if recipient is None:
            self._delivery.written_to_room(message)
