"""The use cases of rooms: joining and leaving."""

from socketio_app.application.commands import Actor, JoinRoom, LeaveRoom, RoomJoined, RoomLeft
from socketio_app.application.events import Members, UserJoined, UserLeft
from socketio_app.application.locks import KeyedLock
from socketio_app.application.ports import Broadcast, Clock, Store
from socketio_app.application.typing_indicator import TypingIndicator
from socketio_app.domain.conversations import Room


class Membership:
    """Lets users into rooms and out of them.

    One user's changes of membership go one after the other (the lock is shared with the opening of
    connections), so that what is stored and who is told cannot drift apart.
    """

    def __init__(
        self,
        store: Store,
        broadcast: Broadcast,
        clock: Clock,
        typing: TypingIndicator,
        user_locks: KeyedLock,
    ) -> None:
        self._rooms = store.rooms
        self._broadcast = broadcast
        self._clock = clock
        self._typing = typing
        self._user_locks = user_locks

    async def join(self, actor: Actor, command: JoinRoom) -> RoomJoined:
        """Make the actor a member, on all their connections, and tell the room once.

        Raises:
            InvalidPayload: the actor is in as many rooms as one may be.
            Unavailable: nothing was stored and nobody was told.
        """
        room_id, user_id = command.room_id, actor.user_id
        async with self._user_locks.holding(user_id):
            now = self._clock.now()
            room = await self._rooms.join(room_id, user_id, now)
            self._broadcast.enter(room_id, user_id)
            if room.joined:
                self._broadcast.tell(
                    UserJoined(room_id, user_id, now, room.member_count), Members(room_id)
                )
        return room

    async def leave(self, actor: Actor, command: LeaveRoom) -> RoomLeft:
        """End the actor's membership, and tell the room: those who stay, and the actor's devices.

        Raises:
            Unavailable: nothing was stored and nobody was told.
        """
        room_id, user_id = command.room_id, actor.user_id
        async with self._user_locks.holding(user_id):
            room = await self._rooms.leave(room_id, user_id)
            if room.left:
                self._typing.end(user_id, Room(room_id))
                self._broadcast.tell(
                    UserLeft(room_id, user_id, self._clock.now(), room.member_count, "left"),
                    Members(room_id),
                )
            self._broadcast.leave(room_id, user_id)
        return RoomLeft(room.left)
