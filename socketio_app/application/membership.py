"""The use cases of rooms: joining and leaving."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from socketio_app.application.commands import Actor, JoinRoom, LeaveRoom, RoomJoined, RoomLeft
from socketio_app.application.events import Members, UserJoined, UserLeft, Users
from socketio_app.application.locks import KeyedLock
from socketio_app.application.ports import Broadcast, Clock, Store
from socketio_app.application.repairs import Repairs
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.application.use_cases import carries_out
from socketio_app.domain.connections import Connections
from socketio_app.domain.conversations import Room
from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Membership as StoredMembership

MAX_UNCONFIRMED_CONVERSATIONS = 10_000
"""Maximum number of memberships in doubt. Above it, the oldest is unsubscribed: its user gets no
events of the room until they open another connection."""

MAX_MEMBERSHIP_READS = 10
"""Maximum number of reads of one membership in doubt while other users join and leave."""


class Membership:
    """Adds users to rooms and removes them.

    A user's membership changes are serialized, by a lock that they share with the opening of
    connections, so that subscriptions always match the stored memberships.

    While a user joins, the room's events are queued for them; messages up to the newest one at the
    time of joining are dropped. If the store's reply is lost, the membership is in doubt: the
    room's events stay queued until the membership has been read from the store.
    """

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        clock: Clock,
        typing: TypingIndicator,
        connections: Connections,
        user_locks: KeyedLock,
        repairs: Repairs,
    ) -> None:
        self._rooms = store.rooms
        self._broadcast = broadcast
        self._clock = clock
        self._connections = connections
        self._typing = typing
        self._user_locks = user_locks
        self._repairs = repairs
        self._doubts: dict[tuple[RoomId, UserId], bool] = {}
        """Memberships in doubt, and whether the room was last notified that the user is in it."""
        self._notifications = 0
        """Number of events published, which tells whether a count is still the latest."""

    @carries_out(JoinRoom)
    async def join(self, actor: Actor, command: JoinRoom) -> RoomJoined:
        """Make the actor a member, on all their connections, and notify the room once.

        Raises:
            InvalidPayload: the actor is in the maximum number of rooms.
            Unavailable: nothing was stored, or the outcome is unknown; then the room is notified
                once it is known.
        """
        room_id, user_id = command.room_id, actor.user_id
        async with self._user_locks.holding(user_id):
            is_member = self._broadcast.is_subscribed(room_id, user_id)
            if not is_member:
                self._broadcast.pause(room_id, user_id)
            now = self._clock.now()
            with self._in_doubt_if_unknown(room_id, user_id, was_notified=is_member):
                room = await self._rooms.join(room_id, user_id, now)
            was_notified = self._doubts.pop((room_id, user_id), True)
            is_news = room.joined or not was_notified
            # Someone who was already a member gets all queued events, however old.
            self._broadcast.subscribe(room_id, user_id, room.last_seq if is_news else 0)
            if is_news:
                self._notify(UserJoined(room_id, user_id, now, room.member_count))
        return room

    @carries_out(LeaveRoom)
    async def leave(self, actor: Actor, command: LeaveRoom) -> RoomLeft:
        """End the actor's membership; notify the remaining members and the actor's connections.

        Raises:
            Unavailable: nothing was stored, or the outcome is unknown; then the room is notified
                once it is known.
        """
        room_id, user_id = command.room_id, actor.user_id
        async with self._user_locks.holding(user_id):
            is_member = self._broadcast.is_subscribed(room_id, user_id)
            # If the user has no connections, only the store knows whether they are a member.
            was_notified = is_member or not self._connections.is_online(user_id)
            with self._in_doubt_if_unknown(room_id, user_id, was_notified=was_notified):
                room = await self._rooms.leave(room_id, user_id)
            was_notified = self._doubts.pop((room_id, user_id), False)
            self._end(room_id, user_id, room.member_count, is_news=room.left or was_notified)
        return RoomLeft(room.left)

    def clear(self) -> None:
        """Forget memberships in doubt, for a store that may be a different one."""
        self._doubts.clear()

    def _end(self, room_id: RoomId, user_id: UserId, member_count: int, *, is_news: bool) -> None:
        """Unsubscribe the user from the room; notify both if the room does not know yet."""
        if not is_news:
            self._broadcast.unsubscribe(room_id, user_id)
            return
        self._typing.end(user_id, Room(room_id))
        is_subscribed = self._broadcast.is_subscribed(room_id, user_id)
        event = UserLeft(room_id, user_id, self._clock.now(), member_count, "left")
        self._notify(event)
        self._broadcast.unsubscribe(room_id, user_id)
        if not is_subscribed:  # the event was queued for them, and discarded
            self._broadcast.publish(event, Users((user_id,)))

    @contextmanager
    def _in_doubt_if_unknown(
        self, room_id: RoomId, user_id: UserId, *, was_notified: bool
    ) -> Iterator[None]:
        """Mark the membership as in doubt if the change fails, unless it was rejected."""
        try:
            yield
        except InvalidPayload:  # raised only for users who are not members
            self._broadcast.unsubscribe(room_id, user_id)
            raise
        except BaseException:
            self._doubt(room_id, user_id, was_notified=was_notified)
            raise

    def _doubt(self, room_id: RoomId, user_id: UserId, *, was_notified: bool) -> None:
        if self._broadcast.is_subscribed(room_id, user_id):
            self._broadcast.pause(room_id, user_id)
        self._doubts.setdefault((room_id, user_id), was_notified)
        if len(self._doubts) > MAX_UNCONFIRMED_CONVERSATIONS:
            oldest = next(iter(self._doubts))
            del self._doubts[oldest]
            self._broadcast.unsubscribe(*oldest)
        repair = partial(self._settle, room_id, user_id)
        self._repairs.request(("membership", room_id, user_id), repair)

    async def _settle(self, room_id: RoomId, user_id: UserId) -> None:
        """Read a membership in doubt from the store, and notify the room if it has changed.

        Raises:
            Unavailable: the store cannot be read now.
        """
        async with self._user_locks.holding(user_id):
            if (room_id, user_id) not in self._doubts:
                return
            membership = await self._read_membership(room_id, user_id)
            was_notified = self._doubts.pop((room_id, user_id), membership.is_member)
            if not membership.is_member:
                self._end(room_id, user_id, membership.member_count, is_news=was_notified)
                return
            if not was_notified:  # the join's `last_seq` was lost: start from now
                self._broadcast.unsubscribe(room_id, user_id)
                self._broadcast.pause(room_id, user_id)
            self._broadcast.subscribe(room_id, user_id)
            if not was_notified:
                self._notify(
                    UserJoined(room_id, user_id, self._clock.now(), membership.member_count)
                )

    async def _read_membership(self, room_id: RoomId, user_id: UserId) -> StoredMembership:
        """Read a membership again if another change was published meanwhile.

        Otherwise a member count could be published after a later one.
        """
        reads_left = MAX_MEMBERSHIP_READS
        while True:
            notifications = self._notifications
            membership = await self._rooms.membership(room_id, user_id)
            reads_left -= 1
            if notifications == self._notifications or not reads_left:
                return membership

    def _notify(self, event: UserJoined | UserLeft) -> None:
        self._notifications += 1
        self._broadcast.publish(event, Members(event.room_id))
