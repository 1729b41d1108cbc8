"""Sending messages in transactions of the host application (transactional outbox).

The host's transaction stores a message in the outbox. After the commit, the message is appended to
its conversation like any other, is broadcast, and is removed from the outbox. If the process ends
in between, the next start continues. The `client_message_id` makes the append safe to repeat.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from socketio_app.application.cancellation import start_task
from socketio_app.application.commands import Actor, SendMessage
from socketio_app.application.home_loop import HomeLoop
from socketio_app.application.messaging import Messaging
from socketio_app.application.outbox import (
    HostConnection,
    HostConnectionError,
    IsOver,
    Outbox,
    QueuedMessage,
)
from socketio_app.application.ports import Broadcast, Clock, Timer
from socketio_app.application.repairs import Repairs
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import Conflict, Unavailable
from socketio_app.domain.identifiers import ClientMessageId, MessageId
from socketio_app.domain.messaging import Draft
from socketio_app.domain.values import changed

log = logging.getLogger("socketio_app")

MAX_BATCH = 100
"""Maximum number of messages that are appended together."""

MAX_WAITING = 10_000
"""Maximum number of committed messages in memory; beyond, all are read from the outbox."""

FIRST_CHECK = timedelta(milliseconds=1)
"""Delay before a commit that has begun is checked for the first time; doubled for each check."""

MAX_CHECK_DELAY = timedelta(seconds=1)

SECOND_LOOK_DELAY = timedelta(seconds=10)
"""Delay before messages that were not found are looked up once more.

Most were rolled back to a savepoint. But if the connection is lost during a commit, the database
may complete it a moment later."""

_KEY = "messages of the host's transactions"


class HostTransactions:
    """Stores messages in the host's transactions, and sends them after the commit."""

    def __init__(
        self,
        outbox: Outbox | None,
        messaging: Messaging,
        broadcast: Broadcast,
        home_loop: HomeLoop,
        repairs: Repairs,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._messaging = messaging
        self._broadcast = broadcast
        self._home_loop = home_loop
        self._repairs = repairs
        self._clock = clock
        self._waiting: dict[MessageId, None] = {}
        """Messages of ended transactions, in the order of the commits."""
        self._unseen: dict[MessageId, None] = {}
        """Messages that were not found, and will be looked up once more."""
        self._appended: dict[MessageId, None] = {}
        """Messages to remove from the outbox."""
        self._reads_all = False
        self._second_look: Timer | None = None
        self._is_closed = True
        self._is_failing = False

    async def send(
        self, actor: Actor, command: SendMessage, connection: HostConnection
    ) -> QueuedMessage:
        """Store a message in the host's transaction.

        Raises:
            HostConnectionError: the connection is unsuitable, or to another database.
            ContentTooLong, InvalidPayload, NotAMember, Conflict, Unavailable: as for `Messaging`.
        """
        outbox = self._outbox
        if outbox is None:
            raise HostConnectionError(
                "connection requires a chat on PostgreSQL or SQLite (DATABASE_URL): this chat's "
                "store has no transactions"
            )
        draft = with_client_message_id(await self._messaging.draft(actor, command))
        return await outbox.put(connection, draft, self.on_commit)

    def on_commit(self, message_ids: Sequence[MessageId], is_over: IsOver) -> None:
        """Send messages once the commit of their transaction has ended. See `OnCommit`."""
        try:
            self._home_loop.call_soon_threadsafe(
                lambda: self._wait_for(message_ids, is_over, FIRST_CHECK)
            )
        except (RuntimeError, Unavailable):
            log.warning("a host transaction ends after the chat: its messages wait for the start")

    def open(self) -> None:
        """Send what an earlier process could not send any more."""
        self.close()
        self._is_closed = False
        if self._outbox is not None:
            self._reads_all = True
            self._repairs.request(_KEY, self._send_committed)

    def close(self) -> None:
        """Send nothing more. What is committed remains in the outbox until the next `open`."""
        self._is_closed = True
        for each in (self._waiting, self._unseen, self._appended):
            each.clear()
        if self._second_look is not None:
            self._second_look.cancel()
            self._second_look = None

    def _wait_for(
        self, message_ids: Sequence[MessageId], is_over: IsOver, delay: timedelta
    ) -> None:
        if is_over():
            self._request(message_ids)
            return
        following = min(2 * delay, MAX_CHECK_DELAY)
        self._clock.call_later(delay, lambda: self._wait_for(message_ids, is_over, following))

    def _request(self, message_ids: Sequence[MessageId]) -> None:
        self._waiting.update(dict.fromkeys(message_ids))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self._reads_all = True
        self._repairs.request(_KEY, self._send_committed)

    async def _send_committed(self) -> None:
        """Send all committed messages.

        Raises:
            Unavailable: the store cannot be used now; this is logged once.
        """
        assert self._outbox is not None  # noqa: S101  (nothing is committed without one)
        try:
            await self._remove_appended(self._outbox)
            await self._send_waiting(self._outbox)
            await self._send_all(self._outbox)
        except Unavailable as error:
            if not self._is_failing:
                self._is_failing = True
                log.warning("cannot send messages of host transactions yet: %s", error.message)
            raise
        self._is_failing = False

    async def _send_waiting(self, outbox: Outbox) -> None:
        while self._waiting and not self._is_closed:
            some = list(islice(self._waiting, MAX_BATCH))
            found = {draft.message_id: draft for draft in await outbox.find(some)}
            await self._send(outbox, [found[each] for each in some if each in found])
            for message_id in some:
                self._waiting.pop(message_id, None)
                if message_id in found:
                    self._unseen.pop(message_id, None)
                else:
                    self._look_again(message_id)

    async def _send_all(self, outbox: Outbox) -> None:
        last: MessageId | None = None
        while self._reads_all and not self._is_closed:
            drafts = await outbox.page(last, MAX_BATCH)
            if not drafts:
                self._reads_all = False
                return
            await self._send(outbox, drafts)
            last = drafts[-1].message_id

    async def _send(self, outbox: Outbox, drafts: Sequence[Draft]) -> None:
        rooms = {each.conversation: None for each in drafts if isinstance(each.conversation, Room)}
        for room in rooms:
            await self._broadcast.wait_until_caught_up(room.room_id)
        if self._is_closed:
            return
        # The tasks start in this order, and so do their appends.
        sending = [start_task(self._append(draft)) for draft in drafts]
        if sending:
            await asyncio.wait(sending)
        await self._remove_appended(outbox)
        for each in sending:
            each.result()

    async def _append(self, draft: Draft) -> None:
        """Append a message to its conversation, and broadcast it.

        Raises:
            Unavailable: it was not appended, or the outcome is unknown.
        """
        try:
            await self._messaging.store(draft, None)
        except Unavailable:
            raise
        except Conflict:
            # The client_message_id was free when the host's transaction looked for it.
            log.warning("message of a host transaction dropped: its client_message_id was used")
        except Exception:
            log.exception("cannot send a message of a host transaction; it stays in chat_outbox")
            return
        self._appended[draft.message_id] = None

    async def _remove_appended(self, outbox: Outbox) -> None:
        if self._appended and not self._is_closed:
            message_ids = list(self._appended)
            await outbox.remove(message_ids)
            for each in message_ids:
                self._appended.pop(each, None)

    def _look_again(self, message_id: MessageId) -> None:
        if message_id in self._unseen:
            del self._unseen[message_id]
        elif len(self._unseen) < MAX_WAITING:
            self._unseen[message_id] = None
            if self._second_look is None:
                self._second_look = self._clock.call_later(SECOND_LOOK_DELAY, self._look_up_unseen)

    def _look_up_unseen(self) -> None:
        self._second_look = None
        self._request(list(self._unseen))


def with_client_message_id(draft: Draft) -> Draft:
    """Return the draft with a `client_message_id`: its own, or else its `message_id`."""
    if draft.client_message_id is not None:
        return draft
    return changed(draft, client_message_id=ClientMessageId(draft.message_id))
