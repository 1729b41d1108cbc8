"""An outbox in memory, and transactions of a host whose commits a test controls step by step."""

from collections.abc import Sequence

import attrs

from socketio_app.application.outbox import HostConnection, OnCommit, QueuedMessage
from socketio_app.domain.identifiers import MessageId
from socketio_app.domain.messaging import Draft
from tests.stores import Hook, nothing


@attrs.define(eq=False)
class HostTransaction:
    """A transaction with messages that nobody else sees before it is committed."""

    outbox: "MemoryOutbox"
    drafts: list[Draft] = attrs.field(factory=list)
    on_commit: OnCommit | None = None
    is_over: bool = False

    def in_transaction(self) -> bool:
        return not self.is_over

    def begin_commit(self) -> None:
        """Announce the commit, as a database library does before it happens."""
        assert self.on_commit is not None
        self.on_commit([draft.message_id for draft in self.drafts], lambda: self.is_over)

    def end_commit(self, *, fails: bool = False) -> None:
        """Commit, or fail to."""
        if not fails:
            self.outbox.drafts.update({draft.message_id: draft for draft in self.drafts})
        self.is_over = True

    def commit(self) -> None:
        self.begin_commit()
        self.end_commit()


class MemoryOutbox:
    """Implements `Outbox`, with a hook before each call."""

    def __init__(self, before: Hook = nothing) -> None:
        self._before = before
        self.drafts: dict[MessageId, Draft] = {}
        """The committed messages."""

    async def put(
        self, connection: HostConnection, draft: Draft, on_commit: OnCommit
    ) -> QueuedMessage:
        assert isinstance(connection, HostTransaction)
        assert draft.client_message_id is not None
        connection.drafts.append(draft)
        connection.on_commit = on_commit
        return QueuedMessage(draft.message_id, draft.client_message_id, duplicate=False)

    async def find(self, message_ids: Sequence[MessageId]) -> Sequence[Draft]:
        await self._before("find")
        return [self.drafts[each] for each in message_ids if each in self.drafts]

    async def page(self, after: MessageId | None, limit: int) -> Sequence[Draft]:
        await self._before("page")
        later = sorted(each for each in self.drafts if each > (after or ""))
        return [self.drafts[each] for each in later[:limit]]

    async def remove(self, message_ids: Sequence[MessageId]) -> None:
        await self._before("remove")
        for each in message_ids:
            self.drafts.pop(each, None)
