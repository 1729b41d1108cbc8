"""Adapters of the SQLite store: each port in terms of its writer and its readers."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from socketio_app.adapters.sql.deliveries import submit_deliveries
from socketio_app.adapters.sql.group_commit import GroupCommit
from socketio_app.adapters.sql.sqlite.reader import SqliteReader
from socketio_app.adapters.sql.sqlite.writer import SqliteWriter, Write
from socketio_app.adapters.sql.undelivered import FIRST_PAIRS
from socketio_app.application.commands import RoomJoined
from socketio_app.application.ports import ConversationSeq
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, Page, ReadMarker, Recent, Window
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Left, Membership, Memberships, check_room_count

MAX_MESSAGES_NOTED = 50
"""Maximum number of messages in a write of deliveries; bounds how long it delays an append."""

Commits = GroupCommit[Write, Any]

Outcome = TypeVar("Outcome")


class Read(Protocol):
    """Runs a function in a reader's thread."""

    async def __call__(self, read: Callable[[SqliteReader], Outcome], /) -> Outcome:
        """Return what the function returns.

        Raises:
            Unavailable: the file cannot be read.
        """
        ...


class SqliteMessages:
    """Implements `MessageLog`."""

    def __init__(self, commits: Commits, read: Read) -> None:
        self._commits = commits
        self._read = read

    async def append(self, draft: Draft) -> Stored:
        """See `MessageLog.append`."""
        stored: Stored = await self._commits.submit(lambda writer: writer.append(draft))
        return stored

    async def last_seq(self, conversation: Conversation) -> int:
        """See `MessageLog.last_seq`."""
        return await self._read(lambda reader: reader.last_seq(conversation))

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """See `MessageLog.page`."""
        return await self._read(lambda reader: reader.page(conversation, window))

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `MessageLog.newest`."""
        return await self._read(lambda reader: reader.newest(beyond, limit))


class SqliteDeliveries:
    """Implements `DeliveryLog`."""

    def __init__(self, commits: Commits, read: Read, committed: Callable[[], int]) -> None:
        self._commits = commits
        self._read = read
        self._committed = committed

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """See `DeliveryLog.undelivered`."""
        committed = self._committed()

        def read(reader: SqliteReader) -> tuple[Sequence[Message], int | None]:
            found: Sequence[Message] = ()
            following = None
            for max_pairs in (min(limit, FIRST_PAIRS), limit):
                waiting = reader.waiting_pairs(user_id, max_pairs)
                following = waiting.next_delivered_activity(committed, max_pairs)
                found = reader.undelivered(user_id, waiting.pairs, limit)
                if len(found) == limit or len(waiting.pairs) < max_pairs:
                    break
            return found, following

        messages, following = await self._read(read)
        if following is not None:
            activity = following
            submit_deliveries(
                self._commits,
                lambda writer: writer.move_delivered_activity(user_id, activity),
                _ignore,
            )
        return messages

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """See `DeliveryLog.delivered`."""
        for begin in range(0, len(messages), MAX_MESSAGES_NOTED):
            some = messages[begin : begin + MAX_MESSAGES_NOTED]
            write: Write = partial(_deliver, some)
            submit_deliveries(self._commits, write, first_time)


def _deliver(messages: Sequence[Message], writer: SqliteWriter) -> Sequence[Message]:
    return writer.deliver(messages)


def _ignore(_outcome: object) -> None:
    """Ignore the outcome."""


class SqliteConversations:
    """Implements `ConversationLog`."""

    def __init__(self, commits: Commits, read: Read) -> None:
        self._commits = commits
        self._read = read

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """See `ConversationLog.of_user`."""
        return await self._read(lambda reader: reader.of_user(user_id, limit, before_activity))

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """See `ConversationLog.recent`."""
        return await self._read(lambda reader: reader.recent(user_id, limit, before_activity))

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """See `ConversationLog.mark_read`."""
        read: ReadMarker = await self._commits.submit(
            lambda writer: writer.mark_read(user_id, conversation, seq)
        )
        return read


class SqliteActivity:
    """Implements `ActivityLog`.

    The only writer commits activities in the order in which it draws them, so that every committed
    activity is settled.
    """

    def __init__(self, read: Read, committed: Callable[[], int]) -> None:
        self._read = read
        self._committed = committed

    async def mark(self) -> Mark:
        """See `ActivityLog.mark`."""
        committed = self._committed()
        return Mark(committed, committed)

    recent_mark = mark

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """See `ActivityLog.changes`."""
        return await self._read(lambda reader: reader.changes(user_id, since, given, limit))

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """See `ActivityLog.new_messages`."""
        return await self._read(lambda reader: reader.new_messages(changes, beyond, since, limit))


class SqliteRooms:
    """Implements `RoomRepository`.

    Queries are answered from memory. Changes are written to the file before they are in memory.
    """

    def __init__(self, commits: Commits, rooms_per_user: int) -> None:
        self._commits = commits
        self._rooms_per_user = rooms_per_user
        self._memberships = Memberships(_NO_LIMIT)

    def load(self, memberships: Iterable[tuple[RoomId, UserId]]) -> None:
        """Load the memberships in the file into memory, replacing those from before."""
        self._memberships = Memberships(_NO_LIMIT)
        for room_id, user_id in memberships:
            self._memberships.join(room_id, user_id)

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """See `RoomRepository.join`."""
        if not self._memberships.is_member(room_id, user_id):
            check_room_count(len(self._memberships.rooms_of(user_id)), self._rooms_per_user)
        last_seq = await self._commits.submit(lambda writer: writer.join(room_id, user_id, at))
        room = self._memberships.join(room_id, user_id)
        return RoomJoined(room_id, last_seq, room.member_count, room.joined)

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """See `RoomRepository.leave`."""
        if self._memberships.is_member(room_id, user_id):
            row = (room_id.encode(), user_id.encode())
            await self._commits.submit(lambda writer: writer.leave(row))
        return self._memberships.leave(room_id, user_id)

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """See `RoomRepository.membership`."""
        return self._memberships.membership(room_id, user_id)

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """See `RoomRepository.is_member`."""
        return self._memberships.is_member(room_id, user_id)

    async def member_count(self, room_id: RoomId) -> int:
        """See `RoomRepository.member_count`."""
        return self._memberships.member_count(room_id)

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """See `RoomRepository.rooms_of`."""
        return self._memberships.rooms_of(user_id)


_NO_LIMIT = 2**63
"""The limit is checked before each write: it may be lower than when the file was written."""
