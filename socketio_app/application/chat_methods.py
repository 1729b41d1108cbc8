"""The chat's commands as methods for host applications."""

from collections.abc import Coroutine
from typing import Any, overload

from socketio_app.application.commands import (
    Actor,
    Command,
    ConversationPage,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    ReadMarked,
    Result,
    RoomJoined,
    RoomLeft,
    SendMessage,
    StartTyping,
    StopTyping,
)
from socketio_app.application.outbox import HostConnection, QueuedMessage
from socketio_app.domain.conversations import Target
from socketio_app.domain.history import DEFAULT_PAGE_ROWS, Page, Window
from socketio_app.domain.identifiers import AnyUserId, ClientMessageId, as_user_id
from socketio_app.domain.messaging import Stored


class ChatMethods:
    """A method for each command, executed on behalf of a user. Each raises what `execute` raises.

    Targets are `Person("bob")` or `Room("lobby")`. Users' ids may also be integers or UUIDs.
    """

    def execute(self, actor: Actor, command: Command[Result]) -> Coroutine[Any, Any, Result]:
        """Execute a command."""
        raise NotImplementedError

    async def _send_in_transaction(
        self, actor: Actor, command: SendMessage, connection: HostConnection
    ) -> QueuedMessage:
        """Send a message in a transaction of the host application, as `send` does."""
        raise NotImplementedError

    @overload
    async def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: None = None,
    ) -> Stored: ...

    @overload
    async def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: HostConnection,
    ) -> QueuedMessage: ...

    async def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: HostConnection | None = None,
    ) -> Stored | QueuedMessage:
        """Send a message.

        Args:
            user_id: the sender; in a room, one of its members.
            target: a person or a room.
            content: the text.
            client_message_id: an id of your choice. Sending again with the same id stores nothing,
                so that a failed call can be retried.
            connection: an `AsyncSession` or `AsyncConnection` of SQLAlchemy on the chat's database.
                The message is stored in its transaction, and sent after the commit; a rollback
                drops it.

        Raises:
            HostConnectionError: `connection` is unsuitable, or to another database.
        """
        given = None if client_message_id is None else ClientMessageId(client_message_id)
        actor, command = _actor(user_id), SendMessage(target, content, given)
        if connection is None:
            return await self.execute(actor, command)
        return await self._send_in_transaction(actor, command, connection)

    async def join(self, user_id: AnyUserId, room_id: str) -> RoomJoined:
        """Make a user a member of a room, creating the room if it does not exist."""
        return await self.execute(_actor(user_id), JoinRoom(room_id))

    async def leave(self, user_id: AnyUserId, room_id: str) -> RoomLeft:
        """End a user's membership in a room."""
        return await self.execute(_actor(user_id), LeaveRoom(room_id))

    async def history(
        self,
        user_id: AnyUserId,
        target: Target,
        *,
        before_seq: int | None = None,
        after_seq: int | None = None,
        limit: int = DEFAULT_PAGE_ROWS,
    ) -> Page:
        """Return a page of a conversation: the newest messages, or before or after a `seq`."""
        window = Window(before_seq, after_seq, limit)
        return await self.execute(_actor(user_id), FetchHistory(target, window))

    async def conversations(
        self, user_id: AnyUserId, *, limit: int = DEFAULT_PAGE_ROWS, cursor: int | None = None
    ) -> ConversationPage:
        """Return a page of a user's conversations, most recently active first."""
        return await self.execute(_actor(user_id), ListConversations(limit, cursor))

    async def mark_read(self, user_id: AnyUserId, target: Target, seq: int) -> ReadMarked:
        """Mark a conversation as read up to a `seq`."""
        return await self.execute(_actor(user_id), MarkRead(target, seq))

    async def start_typing(self, user_id: AnyUserId, target: Target) -> None:
        """Show a user as typing, for a few seconds."""
        await self.execute(_actor(user_id), StartTyping(target))

    async def stop_typing(self, user_id: AnyUserId, target: Target) -> None:
        """Stop showing a user as typing."""
        await self.execute(_actor(user_id), StopTyping(target))


def _actor(user_id: AnyUserId) -> Actor:
    return Actor(as_user_id(user_id))
