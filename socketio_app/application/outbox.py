"""The outbox: messages in transactions of the host application, before they get a `seq`.

A message in the outbox belongs to no position of its conversation yet. It therefore locks nothing
that other messages need, however long the transaction lasts.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from socketio_app.domain.identifiers import ClientMessageId, MessageId
from socketio_app.domain.messaging import Draft


class HostConnectionError(ValueError):
    """The host's connection cannot store a message. The message says what to pass instead."""


class HostConnection(Protocol):
    """A connection or session of the host's database library."""

    def in_transaction(self) -> bool:
        """Whether a transaction has begun."""
        ...


@attrs.frozen
class QueuedMessage:
    """A message in the host's transaction: sent once that is committed, dropped if rolled back."""

    message_id: MessageId
    client_message_id: ClientMessageId
    """The given one, or else one that was generated."""
    duplicate: bool
    """True if the sender has sent it before: `message_id` is the first one; nothing was stored."""


IsOver = Callable[[], bool]
"""Whether the transaction has ended, committed or not. Never waits."""

OnCommit = Callable[[Sequence[MessageId], IsOver], None]
"""Receives the messages of a transaction whose commit is beginning, in order, from any thread."""


class Outbox(Protocol):
    """Stores messages in transactions of the host, and finds the committed ones.

    Each draft has a `client_message_id`.
    """

    async def put(
        self, connection: HostConnection, draft: Draft, on_commit: OnCommit
    ) -> QueuedMessage:
        """Store a message in the transaction of an asynchronous connection or session.

        Args:
            connection: the host's connection; a transaction begins if there is none.
            draft: the message.
            on_commit: called at each commit of a transaction with messages.

        Raises:
            HostConnectionError: the connection is unsuitable, or to another database.
            Conflict: the sender has used the `client_message_id` for other content.
            Unavailable: the database is locked.
        """
        ...

    async def find(self, message_ids: Sequence[MessageId]) -> Sequence[Draft]:
        """Return the committed messages with these ids, in any order.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def page(self, after: MessageId | None, limit: int) -> Sequence[Draft]:
        """Return committed messages in ascending order of their ids.

        Args:
            after: only messages with a higher id.
            limit: maximum number of messages.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def remove(self, message_ids: Sequence[MessageId]) -> None:
        """Remove messages, which were appended to their conversations.

        Raises:
            Unavailable: they cannot be removed now.
        """
        ...
