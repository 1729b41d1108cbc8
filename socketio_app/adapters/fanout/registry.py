"""Authenticates clients, and opens and closes their connections, for all transports.

Connecting is rate limited, each rejection is logged once with its reason, and a client that
disconnects while it is being authenticated leaves no state behind.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol, runtime_checkable
from uuid import uuid4

import attrs
from starlette.types import Scope

from socketio_app.adapters.fanout.connect_limit import ConnectLimit
from socketio_app.adapters.fanout.encoding import Encoding
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.pushing import push
from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.adapters.fanout.subscriber import ConnectionWriter, Subscriber
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.websocket.interface import FrameWriter
from socketio_app.adapters.wire import outgoing
from socketio_app.application.cancellation import start_task
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor
from socketio_app.application.metrics import Metrics
from socketio_app.application.opening import Opening
from socketio_app.application.ports import Identity, TokenVerifier
from socketio_app.domain.errors import ChatError, Unauthenticated
from socketio_app.domain.identifiers import ConnectionId

log = logging.getLogger("socketio_app.socketio")


class Client(ConnectionWriter, Protocol):
    """A client's session on a transport."""

    @property
    def sid(self) -> str:
        """The session's id."""
        ...

    def watch_direct_writer(self, on_direct_writer: Callable[[FrameWriter | None], None]) -> None:
        """Call back, now and on every change, with what writes frames directly, if anything."""
        ...

    async def wait_until_received(self) -> None:
        """Wait until the client has read what was written to it, or is gone."""
        ...


@runtime_checkable
class RequestVerifier(TokenVerifier, Protocol):
    """Authenticates users by the requests that open their connections, with or without a token."""

    async def verify_request(self, token: str | None, scope: Scope) -> Identity:
        """Return the identity in a token or in the request with this ASGI scope.

        Raises:
            Unauthenticated, TokenExpired: as for `TokenVerifier.verify`.
        """
        ...


class ConnectRejectedError(Exception):
    """A client was rejected. `error` is the wire contract's error object."""

    def __init__(self, error: outgoing.Payload) -> None:
        super().__init__(error["code"])
        self.error = error


@attrs.define(eq=False)
class Connection:
    """An authenticated client's connection to the chat."""

    actor: Actor
    subscriber: Subscriber
    connected_at: float = attrs.field(factory=monotonic)
    pushing: asyncio.Task[None] | None = None
    """Pushes the missed messages after the first batch."""


@attrs.frozen
class ConnectionRegistry:
    """Opens and closes connections of one transport."""

    chat: Chat
    hub: Hub
    verifier: TokenVerifier
    connect_limit: ConnectLimit
    rejections: RejectionLog
    encoding: Encoding
    new_connection_id: Callable[[], str]
    metrics: Metrics | None
    request_verifier: RequestVerifier | None = attrs.field(init=False)
    """The verifier, if it needs the requests that open connections."""

    @request_verifier.default
    def _find_request_verifier(self) -> RequestVerifier | None:
        return self.verifier if isinstance(self.verifier, RequestVerifier) else None

    async def connect(
        self, client: Client, token: Callable[[], str], scope: Scope | None, *, is_first: bool
    ) -> tuple[Connection, Opening]:
        """Authenticate a client. Call `open` or `abandon` with the connection next.

        Args:
            client: the client's session.
            token: returns the token, or raises `Unauthenticated`.
            scope: the request that opened the session; `None` if it is not kept any more.
            is_first: whether this is the first attempt to connect over the session.

        Returns:
            The connection, and what to send over it first, which takes a kilobyte.

        Raises:
            ConnectRejectedError: the client was rejected, and the rejection logged.
        """
        try:
            self.connect_limit.check(client.sid, client.address, is_first=is_first)
            identity = await self._identify(token, scope)
            self.connect_limit.check_user(identity.user_id)
            return await self._prepare(client, identity)
        except ChatError as error:
            source = {} if client.address is None else {"address": client.address}
            self.rejections.rejected("connection rejected", error, source)
            self._count_rejection(error.code)
            raise ConnectRejectedError(outgoing.error_payload(error)) from None
        except Exception:
            error_id = new_error_id()
            fields = {"error_id": error_id}
            log.exception("internal error %s while authenticating a client", error_id, extra=fields)
            self._count_rejection("internal")
            raise ConnectRejectedError(outgoing.internal_error_payload(error_id)) from None

    async def _identify(self, token: Callable[[], str], scope: Scope | None) -> Identity:
        verifier = self.request_verifier
        if verifier is None:
            return await self.verifier.verify(token())
        if scope is None:
            message = "connecting again needs a new session"
            raise Unauthenticated(message, reason=message)
        try:
            given = token()
        except Unauthenticated:
            given = None
        return await verifier.verify_request(given, scope)

    async def _prepare(self, client: Client, identity: Identity) -> tuple[Connection, Opening]:
        connection_id = ConnectionId(self.new_connection_id())
        subscriber = Subscriber(connection_id, identity.user_id, client, self.encoding)
        client.watch_direct_writer(subscriber.set_direct_writer)
        self.hub.attach(subscriber)
        try:
            opening = await self.chat.sessions.prepare(identity, connection_id)
        except BaseException:
            self.hub.detach(subscriber)
            raise
        return Connection(Actor(identity.user_id, connection_id), subscriber), opening

    def _count_rejection(self, code: str) -> None:
        if self.metrics is not None:
            self.metrics.connections_refused[code] += 1

    def open(
        self, client: Client, connection: Connection, opening: Opening, greeting: Frame
    ) -> None:
        """Send the greeting, then what the client missed, then published events."""
        subscriber = connection.subscriber
        subscriber.release(opening, greeting)
        self.chat.sessions.open(opening)
        if not opening.backlog.is_empty:
            connection.pushing = start_task(
                push(client.wait_until_received, subscriber, self.chat.sessions, opening.backlog)
            )
        log.info("connected", extra=_fields(subscriber))
        if self.metrics is not None:
            self.metrics.connections_opened += 1

    def abandon(self, connection: Connection) -> None:
        """Discard a connection that was never opened, because its client is gone."""
        self.hub.detach(connection.subscriber)
        self.chat.sessions.close(connection.actor.user_id, connection.subscriber.connection_id)

    def close(self, connection: Connection, reason: str) -> None:
        """Remove a connection that was opened, and log why it was closed."""
        if connection.pushing is not None:
            connection.pushing.cancel()
        self.abandon(connection)
        reason = reason.replace(" ", "_")
        duration = round(monotonic() - connection.connected_at, 3)
        fields = {**_fields(connection.subscriber), "reason": reason, "duration": duration}
        log.info("disconnected", extra=fields)
        if self.metrics is not None:
            self.metrics.connections_closed[reason] += 1


def _fields(subscriber: Subscriber) -> dict[str, object]:
    """Return the log fields that identify a connection."""
    return {"connection": subscriber.connection_id, "user": subscriber.user_id}


def new_error_id() -> str:
    """Return an id for an internal error, for the log and for the client."""
    return uuid4().hex[:12]
