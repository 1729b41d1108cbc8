"""The chat: the interface for transports and for the host application."""

from collections.abc import Coroutine
from typing import Any

from socketio_app.application.admission import Admission
from socketio_app.application.cancellation import run_to_completion
from socketio_app.application.chat_methods import ChatMethods
from socketio_app.application.commands import Actor, Command, Result, SendMessage
from socketio_app.application.delivery import Delivery
from socketio_app.application.events import Users
from socketio_app.application.from_thread import FromThread
from socketio_app.application.grouped_sends import GroupedSends
from socketio_app.application.home_loop import HomeLoop
from socketio_app.application.host_transactions import HostTransactions
from socketio_app.application.limits import Limits
from socketio_app.application.listening import Listener, ListeningBroadcast
from socketio_app.application.locks import KeyedLock
from socketio_app.application.membership import Membership
from socketio_app.application.messaging import Messaging
from socketio_app.application.metrics import Metrics
from socketio_app.application.outbox import HostConnection, QueuedMessage
from socketio_app.application.ports import Broadcast, Clock, NewMessageId, Store, TokenVerifier
from socketio_app.application.publishing import Publisher
from socketio_app.application.read_turns import ReadTurns
from socketio_app.application.readiness import Readiness
from socketio_app.application.reading import Reading
from socketio_app.application.refusal_limit import RefusalLimit
from socketio_app.application.repairs import Repairs
from socketio_app.application.sessions import Sessions
from socketio_app.application.tokens import Tokens
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.application.use_cases import use_cases_of
from socketio_app.domain.connections import Connections
from socketio_app.domain.identifiers import AnyUserId, as_user_id


class Chat(ChatMethods):
    """Executes commands, and opens and closes connections.

    Example:
        Post a message from the host application, as a user who is a member of the room::

            chat = get_chat(app)
            await chat.send("ada", Room("lobby"), "Hello")
    """

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        verifier: TokenVerifier,
        clock: Clock,
        new_message_id: NewMessageId,
        limits: Limits,
        metrics: Metrics | None = None,
        listener: Listener | None = None,
    ) -> None:
        if listener is not None:
            broadcast = ListeningBroadcast(broadcast, listener)
        self._broadcast = broadcast
        self._connections = Connections(limits.max_connections_per_user)
        user_locks = KeyedLock()
        self._home_loop = HomeLoop()
        self.from_thread = FromThread(self, self._home_loop)
        """For `def` routes and other threads: methods that block until they have the result."""
        self._admission = Admission(clock, limits.rates)
        self._typing = typing = TypingIndicator(store.rooms, broadcast, clock, user_locks, limits)
        connections = self._connections
        self.delivery = delivery = Delivery(store.deliveries, broadcast, clock)
        """For transports: report here which messages a client has received."""
        self._repairs = repairs = Repairs(clock)
        self._publisher = publisher = Publisher(store, broadcast, delivery, typing, repairs)
        messaging = Messaging(store, broadcast, clock, new_message_id, delivery, publisher, limits)
        self._host_transactions = HostTransactions(
            store.capabilities.outbox, messaging, broadcast, self._home_loop, repairs, clock
        )
        self.grouped_sends = GroupedSends(
            store, clock, new_message_id, self._admission, delivery, publisher, limits
        )
        """For transports: begin to send consecutive messages here."""
        reading = Reading(store, broadcast, clock, limits)
        reads = ReadTurns()
        self._membership = membership = Membership(
            store, broadcast, clock, typing, connections, user_locks, repairs
        )
        tokens = Tokens(verifier, broadcast, clock, connections)
        self.sessions = Sessions(
            store,
            broadcast,
            clock,
            connections,
            typing,
            user_locks,
            tokens,
            publisher,
            limits,
            listener,
        )
        """For transports: open and close connections here."""
        self.refusal_limit = RefusalLimit(clock, limits.refusals, limits.refusals_per_user)
        """For transports: decides when to close a connection that keeps being rejected."""
        self.readiness = Readiness(store)
        """For load balancers: whether this server accepts new clients."""
        self.metrics = metrics
        """For operators: the metrics of the chat, if they are collected (`operations_app`)."""
        use_cases = use_cases_of(messaging, membership, typing, reading, tokens)
        self._use_cases = {
            command: reads.serialize(use_case) if command.takes_turns else use_case
            for command, use_case in use_cases.items()
        }

    def execute(self, actor: Actor, command: Command[Result]) -> Coroutine[Any, Any, Result]:
        """Execute a command on behalf of a user.

        Commands of the same connection must not run concurrently. A command runs to completion
        even if its caller is cancelled, for example by a time-out, so that whatever was stored is
        also broadcast. A transport must not cancel it either.

        Raises:
            ChatError: the command was rejected and had no effect. The use cases document their
                errors; every command can raise `RateLimited` and `Unavailable`.
            WrongEventLoopError: the host application called from a different event loop than the
                chat's, for example with `asyncio.run` in a thread.
        """
        if actor.connection_id is None:
            return self._execute_for_host(actor, command)
        self._admission.check(actor, type(command))
        return self._use_cases[type(command)](actor, command)

    async def _execute_for_host(self, actor: Actor, command: Command[Result]) -> Result:
        self._home_loop.check()
        self._admission.check(actor, type(command))
        result: Result = await run_to_completion(self._use_cases[type(command)](actor, command))
        return result

    async def _send_in_transaction(
        self, actor: Actor, command: SendMessage, connection: HostConnection
    ) -> QueuedMessage:
        """See `ChatMethods`."""
        self._home_loop.check()
        self._admission.check(actor, SendMessage)
        # In the caller's task: a connection can only do one thing at a time.
        return await self._host_transactions.send(actor, command, connection)

    def disconnect_user(self, user_id: AnyUserId) -> None:
        """Close all of a user's connections now, for example because the user was banned.

        Clients do not reconnect by themselves, but nothing prevents them from connecting again:
        make sure first that the user's tokens are no longer accepted. Can be called from any
        thread.

        Raises:
            Unavailable: the chat was never started in this process.
        """
        audience = Users((as_user_id(user_id),))
        self._home_loop.call_here_or_soon(
            lambda: self._broadcast.disconnect(audience, "disconnected")
        )

    @property
    def connection_count(self) -> int:
        """Number of open connections."""
        return self._connections.count()

    @property
    def was_started(self) -> bool:
        """Whether `open` was ever called."""
        return self._home_loop.is_known

    def open(self) -> None:
        """Start accepting commands, in the running event loop. Can be called after `close`."""
        self._home_loop.enter()
        self._publisher.clear()
        self._membership.clear()
        self._repairs.open()
        self._host_transactions.open()
        self._admission.open()
        self._typing.open()
        self.readiness.open()

    def close(self) -> None:
        """Reject all further commands. Commands that are running are completed."""
        self.readiness.drain()
        self._admission.close()
        self._typing.close()
        self._host_transactions.close()
        self._repairs.close()
