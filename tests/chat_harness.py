"""A chat for tests: its connections send commands and record the events they receive."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from typing import TypeVar

import attrs

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, Command, Result
from socketio_app.application.delivery import messages_to
from socketio_app.application.events import DisconnectReason, Event
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity, NewMessageId, Store
from socketio_app.domain.identifiers import ConnectionId, MessageId, UserId
from tests.clocks import ManualClock
from tests.recording import RecordingBroadcast, RecordingConnection
from tests.stores import HookedStore, memory_store

Kind = TypeVar("Kind", bound=Event)


@attrs.define(eq=False)
class Device:
    """An open connection of a user."""

    connection: RecordingConnection
    chat: Chat
    broadcast: RecordingBroadcast

    @property
    def user_id(self) -> UserId:
        return self.connection.user_id

    @property
    def connection_id(self) -> ConnectionId:
        return self.connection.connection_id

    @property
    def disconnect_reason(self) -> DisconnectReason | None:
        """Why the chat closed the connection, if it did."""
        return self.connection.disconnect_reason

    @property
    def events(self) -> Sequence[Event]:
        """The received events, in order."""
        return self.connection.events

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the received events of a type, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def execute(self, command: Command[Result]) -> Result:
        """Send a command over this connection."""
        result = await self.chat.execute(Actor(self.user_id, self.connection_id), command)
        self.connection.unconfirmed += messages_to(self.user_id, result)
        return result

    def confirm(self) -> None:
        """Confirm everything written so far, as a client does by answering a ping."""
        messages = list(self.connection.unconfirmed)
        self.connection.unconfirmed.clear()
        if messages:
            self.chat.delivery.confirm(messages)

    def close(self) -> None:
        """Close the connection, as a transport does."""
        self.broadcast.close(self.connection)
        self.chat.sessions.close(self.user_id, self.connection_id)


def numbered_message_ids() -> Callable[[], MessageId]:
    """Return a generator of message ids with ascending numbers."""
    numbers = count(1)
    return lambda: MessageId(f"message-{next(numbers):06}")


class LiveChat:
    """A chat with a manual clock and, by default, without rate limits."""

    def __init__(
        self,
        limits: Limits | None = None,
        store: Store | None = None,
        new_message_id: NewMessageId | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.broadcast = RecordingBroadcast()
        self.tokens: dict[str, Identity] = {}
        """Identities by token. All other tokens are invalid."""
        self.store: Store = store or memory_store()
        self.chat = Chat(
            self.store,
            self.broadcast,
            CustomVerifier(self.tokens.get, self.clock),
            self.clock,
            new_message_id or numbered_message_ids(),
            limits or Limits(rates={}),
        )
        self._connections = count(1)

    async def connect(self, user_id: UserId, token_ends: datetime | None = None) -> Device:
        """Open a connection, as a transport does."""
        self._start()
        connection = self.broadcast.open(
            user_id, ConnectionId(f"connection-{next(self._connections)}")
        )
        try:
            opening = await self.chat.sessions.prepare(
                Identity(user_id, token_ends), connection.connection_id
            )
        except BaseException:
            self.broadcast.close(connection)
            raise
        connection.release(opening)
        self.chat.sessions.open(opening)
        while not opening.backlog.is_empty:
            await self.chat.sessions.read_next_batch(opening.backlog)
            connection.write(connection.merge.push(opening.backlog.take()))
        return Device(connection, self.chat, self.broadcast)

    async def settled(self) -> None:
        """Wait until every delivery has been stored or has failed."""
        if isinstance(self.store, HookedStore):
            await self.store.deliveries.settled()

    async def host(self, user_id: UserId, command: Command[Result]) -> Result:
        """Execute a command on behalf of a user, as the host application does."""
        self._start()
        return await self.chat.execute(Actor(user_id), command)

    def _start(self) -> None:
        """Open the chat on first use, in the test's event loop."""
        if not self.chat.was_started:
            self.chat.open()
