"""Sending a connection's consecutive messages, which are stored together.

A transaction of a database costs the same for one message as for several. A connection that waits
for each message before it begins the next has only one in each transaction.
"""

from collections.abc import Callable
from functools import partial

from socketio_app.application.admission import Admission
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.delivery import Delivery
from socketio_app.application.limits import Limits
from socketio_app.application.messaging import check_retry, draft_of
from socketio_app.application.ports import Clock, NewMessageId, Store
from socketio_app.application.publishing import Publisher
from socketio_app.domain.conversations import Room, pair_of
from socketio_app.domain.errors import ChatError
from socketio_app.domain.messaging import Draft, Stored, check_content

OnSent = Callable[[Stored | Exception], None]
"""Receives the result of a command, or the error that it raised."""


class GroupedSends:
    """Sends personal messages without waiting for those that the connection sent before."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_message_id: NewMessageId,
        admission: Admission,
        delivery: Delivery,
        publisher: Publisher,
        limits: Limits,
    ) -> None:
        self._appends = store.capabilities.append_queue
        self._clock = clock
        self._new_message_id = new_message_id
        self._admission = admission
        self._delivery = delivery
        self._publisher = publisher
        self._content_chars = limits.max_content_chars

    def begin(self, actor: Actor, command: SendMessage, on_sent: OnSent) -> bool:
        """Begin to send a message if nothing but its transaction has to be waited for.

        Until the messages that a connection has begun are sent, it may begin further ones, but
        must not execute commands. Messages are stored, broadcast and answered in order.

        Args:
            actor: the sender, on a connection.
            command: the message.
            on_sent: called once, after this method returns, with the result that `Chat.execute`
                would return or the error that it would raise.

        Returns:
            Whether the message has begun. If not, nothing has happened, and no rate limit counts
            it: execute the command once earlier messages are sent.
        """
        appends = self._appends
        if appends is None or appends.is_full or isinstance(command.target, Room):
            return False
        try:
            check_content(command.content, self._content_chars)
            self._admission.check(actor, SendMessage)
        except ChatError:
            return False
        conversation = pair_of(actor.user_id, command.target.to_user_id)
        draft = draft_of(actor, command, conversation, self._new_message_id(), self._clock.now())
        receipt = self._delivery.hold_receipt(draft)
        appends.append_soon(draft, partial(self._finish, actor, draft, receipt, on_sent))
        return True

    def _finish(
        self,
        actor: Actor,
        draft: Draft,
        receipt: str,
        on_sent: OnSent,
        outcome: Stored | Exception,
    ) -> None:
        """Publish a stored message, as `Messaging.send` does."""
        self._delivery.release_receipt(receipt)
        if isinstance(outcome, Exception):
            self._publisher.mark_unconfirmed(draft)
        else:
            try:
                check_retry(draft, outcome)
                self._publisher.publish(outcome, actor.connection_id)
            except Exception as error:  # noqa: BLE001  (passed to the caller)
                outcome = error
        on_sent(outcome)
