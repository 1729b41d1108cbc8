"""Typing indicators."""

from collections.abc import Iterable

from socketio_app.application.authorization import conversation_for
from socketio_app.application.commands import Actor, StartTyping, StopTyping
from socketio_app.application.events import Audience, Members, Users
from socketio_app.application.limits import Limits
from socketio_app.application.locks import KeyedLock
from socketio_app.application.ports import Broadcast, Clock, RoomRepository, Timer
from socketio_app.application.use_cases import carries_out
from socketio_app.domain.conversations import Conversation, Person, Room, conversation_of
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.typing_board import TypingBoard, TypingStarted, TypingStopped


class TypingIndicator:
    """Holds the typing states of this process and publishes their changes.

    One timer serves all states: it is set for the next one to expire. Starting to type in a room
    is serialized with the user's own joins and leaves, by a shared lock; otherwise a user who
    leaves at the same time could be shown typing in a room they are no longer in.
    """

    def __init__(
        self,
        rooms: RoomRepository,
        broadcast: Broadcast,
        clock: Clock,
        user_locks: KeyedLock,
        limits: Limits,
    ) -> None:
        self._rooms = rooms
        self._broadcast = broadcast
        self._clock = clock
        self._user_locks = user_locks
        self._room_members = limits.max_typing_room_members
        self._board = TypingBoard(limits.typing_ttl)
        self._timer: Timer | None = None
        self._closed = False

    @carries_out(StartTyping)
    async def start(self, actor: Actor, command: StartTyping) -> None:
        """Start or renew the user's typing state.

        Ignored in rooms with more than `Limits.max_typing_room_members` members.

        Raises:
            NotAMember: the target is a room that the actor is not in.
        """
        if isinstance(command.target, Person):
            self._start(actor.user_id, conversation_of(actor.user_id, command.target))
            return
        async with self._user_locks.holding(actor.user_id):
            conversation = await conversation_for(self._rooms, actor.user_id, command.target)
            if await self._rooms.member_count(command.target.room_id) <= self._room_members:
                self._start(actor.user_id, conversation)

    @carries_out(StopTyping)
    async def stop(self, actor: Actor, command: StopTyping) -> None:
        """End the user's typing state.

        Raises:
            NotAMember: the target is a room that the actor is not in.
        """
        self.end(actor.user_id, await conversation_for(self._rooms, actor.user_id, command.target))

    def end(self, user_id: UserId, conversation: Conversation) -> None:
        """End the user's state in a conversation as a consequence of another action."""
        # Most messages end no state: they do not need the time.
        if self._board.has_state(user_id, conversation):
            self._publish(self._board.stop(user_id, conversation, self._clock.now()))

    def end_all(self, user_id: UserId) -> None:
        """End all of the user's states, because they are offline."""
        self._publish(self._board.stop_all(user_id, self._clock.now()))

    def open(self) -> None:
        """Start expiring states."""
        self._closed = False

    def close(self) -> None:
        """Stop the timer. Clients expire the states they show by themselves."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, user_id: UserId, conversation: Conversation) -> None:
        self._publish(self._board.start(user_id, conversation, self._clock.now()))
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._board.next_expiry()
        if self._timer is None and due is not None and not self._closed:
            self._timer = self._clock.call_later(due - self._clock.now(), self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._publish(self._board.expire(self._clock.now()))
        self._set_timer()

    def _publish(self, changes: Iterable[TypingStarted | TypingStopped]) -> None:
        for change in changes:
            self._broadcast.publish(change, _onlookers(change.user_id, change.conversation))


def _onlookers(user_id: UserId, conversation: Conversation) -> Audience:
    """Return the conversation's other users."""
    if isinstance(conversation, Room):
        return Members(conversation.room_id, except_user=user_id)
    other = conversation.other(user_id)
    return Users(() if other == user_id else (other,))
