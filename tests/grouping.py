"""A store whose appends wait for transactions, which the test commits or makes fail."""

import asyncio
from collections.abc import Sequence

from socketio_app.adapters.memory import MemoryStore
from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.application.ports import ConversationSeq, MessageLog
from socketio_app.application.store_capabilities import OnAppended, StoreCapabilities
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Draft, Message, Stored
from tests.stores import memory_store

UNSTORABLE = "unstorable"
"""Content of a message that the database rejects."""

MAX_WAITING = 50


class GroupingMessages:
    """The in-memory log behind the group commit of the databases."""

    def __init__(self, log: MessageLog) -> None:
        self._log = log
        self.commits: GroupCommit[Draft, Stored] = GroupCommit(
            self._commit, max_waiting=MAX_WAITING, max_batch_writes=100
        )
        self.batches: list[int] = []
        """Number of messages in each transaction."""
        self.may_commit = asyncio.Event()
        """While it is not set, transactions wait."""
        self.is_down = False
        """Whether transactions fail."""

    async def append(self, draft: Draft) -> Stored:
        return await self.commits.submit(draft)

    @property
    def is_full(self) -> bool:
        return self.commits.is_full

    def append_soon(self, draft: Draft, on_appended: OnAppended) -> None:
        self.commits.submit_soon(draft, on_appended)

    async def last_seq(self, conversation: Conversation) -> int:
        return await self._log.last_seq(conversation)

    async def page(self, conversation: Conversation, window: Window) -> Page:
        return await self._log.page(conversation, window)

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        return await self._log.newest(beyond, limit)

    async def _commit(self, drafts: Sequence[Draft]) -> Sequence[Stored | Exception]:
        self.batches.append(len(drafts))
        await self.may_commit.wait()
        if self.is_down:
            raise Unavailable("the store is down")
        return [
            ValueError(draft.content)
            if draft.content == UNSTORABLE
            else await self._log.append(draft)
            for draft in drafts
        ]


class GroupingStore:
    """The in-memory store, except for its appends."""

    def __init__(self) -> None:
        self._memory: MemoryStore = memory_store()
        self.epoch = self._memory.epoch
        self.messages = GroupingMessages(self._memory.messages)
        self.deliveries = self._memory.deliveries
        self.conversations = self._memory.conversations
        self.activity = self._memory.activity
        self.rooms = self._memory.rooms
        self.capabilities = StoreCapabilities(append_queue=self.messages)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        await self.messages.commits.drain()

    async def check(self) -> None:
        """Always succeed."""
