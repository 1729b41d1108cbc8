"""Opening and closing connections."""

from socketio_app.application.backlog import Backlog
from socketio_app.application.events import ClientLimits, Connected
from socketio_app.application.hooks import ConnectionClosed, ConnectionOpened
from socketio_app.application.limits import Limits
from socketio_app.application.listening import Listener
from socketio_app.application.locks import KeyedLock
from socketio_app.application.opening import Opening
from socketio_app.application.ports import Broadcast, Clock, Identity, Store
from socketio_app.application.publishing import Publisher
from socketio_app.application.tokens import Tokens
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.connections import Connections
from socketio_app.domain.history import MAX_PAGE_ROWS
from socketio_app.domain.identifiers import (
    MAX_CLIENT_MESSAGE_ID_CHARS,
    MAX_ROOM_ID_CHARS,
    MAX_USER_ID_CHARS,
    ConnectionId,
    UserId,
)


class Sessions:
    """Opens and closes connections.

    Opening has two steps, so that the transport can send its own packets between them. The
    transport holds back the connection's live events from before it calls `prepare` until it has
    sent the `Opening` (see `LiveMerge`), so that no event is lost between reading the store and
    going live. Then, without awaiting anything, it calls `open`.
    """

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        clock: Clock,
        connections: Connections,
        typing: TypingIndicator,
        user_locks: KeyedLock,
        tokens: Tokens,
        publisher: Publisher,
        limits: Limits,
        listener: Listener | None = None,
    ) -> None:
        self._store = store
        self._broadcast = broadcast
        self._clock = clock
        self._connections = connections
        self._typing = typing
        self._user_locks = user_locks
        self._tokens = tokens
        self._publisher = publisher
        self._listener = listener
        self._offline_push = limits.max_offline_push
        self._push_batch_bytes = limits.max_push_batch_bytes
        self._limits = ClientLimits(
            content_chars=limits.max_content_chars,
            user_id_chars=MAX_USER_ID_CHARS,
            room_id_chars=MAX_ROOM_ID_CHARS,
            client_message_id_chars=MAX_CLIENT_MESSAGE_ID_CHARS,
            rooms_per_user=limits.max_rooms_per_user,
            page_messages=MAX_PAGE_ROWS,
            catch_up_positions=limits.max_catch_up_positions,
            typing_ttl_ms=round(limits.typing_ttl.total_seconds() * 1000),
            typing_renew_ms=round(limits.typing_renew.total_seconds() * 1000),
        )

    async def prepare(self, identity: Identity, connection_id: ConnectionId) -> Opening:
        """Subscribe the user to their rooms, and read what they have missed.

        Raises:
            TooManyConnections: the user already has the maximum number of connections.
            Unavailable: the store cannot be read now.
        """
        self._connections.admit(identity.user_id, connection_id)
        try:
            return await self._opening(identity, connection_id)
        except BaseException:
            self._connections.close(identity.user_id, connection_id)
            raise

    async def _opening(self, identity: Identity, connection_id: ConnectionId) -> Opening:
        user_id = identity.user_id
        # Before anything else is read: a cursor that is too old only repeats messages later.
        epoch = self._store.epoch
        settled = (await self._store.activity.recent_mark()).settled
        async with self._user_locks.holding(user_id):
            for room_id in await self._store.rooms.rooms_of(user_id):
                self._broadcast.subscribe(room_id, user_id)
        undelivered = await self._store.deliveries.undelivered(user_id, self._offline_push)
        connected = Connected(
            user_id,
            connection_id,
            self._store.epoch,
            self._clock.now(),
            identity.expires_at,
            self._limits,
            None if settled is None else CatchUpCursor.at(epoch, settled),
        )
        self._publisher.confirm(undelivered)
        return Opening(connected, Backlog.of(user_id, undelivered, self._push_batch_bytes))

    async def read_next_batch(self, backlog: Backlog) -> None:
        """Read the next batch of a backlog, unless it has been read already.

        Raises:
            Unavailable: the store cannot be read now.
        """
        if backlog.next_page is not None:
            conversation, window = backlog.next_page
            backlog.add(await self._store.messages.page(conversation, window))

    def open(self, opening: Opening) -> None:
        """Register the connection, and track its token."""
        connected = opening.connected
        user_id, connection_id = connected.user_id, connected.connection_id
        is_first = self._connections.open(user_id, connection_id)
        self._tokens.track(user_id, connection_id, connected.token_expires_at)
        if self._listener is not None:
            self._listener.connection_opened(
                ConnectionOpened(user_id, connection_id, self._clock.now(), is_first)
            )

    def close(self, user_id: UserId, connection_id: ConnectionId) -> None:
        """Unregister the connection; if it was the user's last one, end their typing states."""
        self._tokens.untrack(connection_id)
        was_open = self._connections.is_open(user_id, connection_id)
        is_last = self._connections.close(user_id, connection_id)
        if is_last:
            self._typing.end_all(user_id)
        if was_open and self._listener is not None:
            self._listener.connection_closed(
                ConnectionClosed(user_id, connection_id, self._clock.now(), is_last)
            )
