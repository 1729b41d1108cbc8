"""What the use cases need of the world outside.

Each port has a contract suite (tests/contracts) that every adapter of it passes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from socketio_app.application.commands import RoomJoined
from socketio_app.application.events import Audience, DisconnectReason, Event, OneConnection, Users
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, Page, ReadMarker, Recent, Window
from socketio_app.domain.identifiers import MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Left, Membership


@attrs.frozen
class Identity:
    """Whom a token stands for."""

    user_id: UserId
    expires_at: datetime | None
    """When the token ends, UTC; `None` where the verifier knows of no end."""


class TokenVerifier(Protocol):
    """Says whom a token stands for."""

    async def verify(self, token: str) -> Identity:
        """The identity that the token proves.

        Raises:
            Unauthenticated: it proves none. The message says nothing of the reason.
            TokenExpired: it was good once.
        """
        ...


Place = tuple[Conversation, int]
"""A conversation, and a `seq` in it."""


class MessageLog(Protocol):
    """Keeps messages, and gives each its place.

    An append is atomic: a place is given once, without gaps, and a `client_message_id` counts once
    for each sender and conversation, however many append at the same time. Appends to one
    conversation return in the order of their places.
    """

    async def append(self, draft: Draft) -> Stored:
        """Store a message, or find the one that its sender has stored before.

        Raises:
            Unavailable: it cannot be stored now, and was not.
        """
        ...

    async def last_seq(self, conversation: Conversation) -> int:
        """The place of the conversation's newest message, 0 before the first."""
        ...

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """The conversation's messages in a window.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...

    async def newest(self, beyond: Sequence[Place], limit: int) -> Sequence[Sequence[Message]]:
        """Of each conversation the newest messages beyond a place, in rising `seq`.

        At most `limit` of each.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...


class DeliveryLog(Protocol):
    """Remembers how far each person's messages have been received by one of their clients.

    It is one cursor for each person and pair; it moves forward only.
    """

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """The personal messages to the user that none of their clients has received.

        At most `limit`; pairs with the newest messages come first, and each pair's messages are in
        rising `seq`, from the first undelivered one on.
        """
        ...

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """Move the cursors of some personal messages' recipients up to them.

        This does not wait, and no append waits for it. `first_time` is called with those messages
        that were beyond the cursors, in order, when they are stored, which may be some of them at a
        time; what cannot be stored now is not among them.
        """
        ...


class ConversationLog(Protocol):
    """Knows each user's conversations, and how far they have read them."""

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """A user's pairs, and the rooms that they are in, those with the newest activity first.

        Args:
            user_id: whose.
            limit: how many at most.
            before_activity: only those with less; so the next page is asked for.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """Return what `of_user` does, each with its newest message, all of one snapshot.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """Move the user's place of reading forward, at most to the conversation's newest message.

        Raises:
            Unavailable: it cannot be stored now, and was not.
        """
        ...


class ActivityLog(Protocol):
    """Finds what is new in a user's conversations, at a cost in proportion to that."""

    async def mark(self) -> Mark:
        """Return the mark of this moment. What is read afterwards has all up to `settled`.

        Raises:
            Unavailable: it cannot be read now.
        """
        ...

    async def recent_mark(self) -> Mark:
        """Return a mark that may be a second old, and costs nothing as a rule.

        Raises:
            Unavailable: it cannot be read now.
        """
        ...

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """Return a user's conversations with activity beyond `given`, in its rising order.

        Args:
            user_id: Whose conversations.
            since: Rooms that the user joined after this activity are marked as joined.
            given: Only conversations beyond this activity, which is not less than `since`.
            limit: Maximum number of conversations.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """Return each conversation's newest messages, in rising `seq`, as of its `Change`.

        Only those with activity beyond `since`, and with a `seq` beyond the conversation's in
        `beyond`; at most `limit` of each.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...


class RoomRepository(Protocol):
    """Keeps who is a member of which room.

    Joins, leaves and `membership` of one room return in the order in which they took effect, each
    with the count of that moment.
    """

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """Make the user a member. The room's newest message is that of the moment of joining.

        What was said in the room before a user becomes a member counts as read by them.

        Raises:
            InvalidPayload: the user is in as many rooms as one may be.
            Unavailable: it cannot be stored now, and was not.
        """
        ...

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """End the user's membership.

        Raises:
            Unavailable: it cannot be stored now, and was not.
        """
        ...

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """Whether the user is in the room, and how many are.

        Raises:
            Unavailable: it cannot be read now.
        """
        ...

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether the user is in the room."""
        ...

    async def member_count(self, room_id: RoomId) -> int:
        """How many are in the room; 0 where there is no such room."""
        ...

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """The rooms that the user is in, in the order of joining."""
        ...


class Store(Protocol):
    """What lasts, all of it from one place."""

    async def check(self) -> None:
        """Check that the store answers and, if its last write has failed, that it writes again.

        Raises:
            Unavailable: it does not.
        """
        ...

    @property
    def epoch(self) -> str:
        """Names this incarnation: it changes exactly when kept positions mean nothing any more."""
        ...

    @property
    def messages(self) -> MessageLog:
        """The messages."""
        ...

    @property
    def deliveries(self) -> DeliveryLog:
        """How far they have come."""
        ...

    @property
    def conversations(self) -> ConversationLog:
        """Whose they are, and how far each has read."""
        ...

    @property
    def activity(self) -> ActivityLog:
        """What is new."""
        ...

    @property
    def rooms(self) -> RoomRepository:
        """The memberships."""
        ...


class Broadcast(Protocol):
    """Publishes events to live connections.

    Publishing never waits: a connection gets its events in the order of the calls.
    """

    async def wait_until_caught_up(self, room_id: RoomId) -> None:
        """Wait while too many deliveries are pending in a room."""
        ...

    def publish(self, event: Event, audience: Audience) -> None:
        """Send an event once to every live connection of an audience."""
        ...

    def disconnect(self, audience: Users | OneConnection, reason: DisconnectReason) -> None:
        """Close live connections, including those that are being opened.

        They get no event that is published later.
        """
        ...

    def is_subscribed(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether the user's live connections get the room's events immediately."""
        ...

    def pause(self, room_id: RoomId, user_id: UserId) -> None:
        """Subscribe the user's connections to a room, but queue its events.

        `subscribe` delivers the queue, `unsubscribe` discards it.
        """
        ...

    def subscribe(self, room_id: RoomId, user_id: UserId, given_seq: int = 0) -> None:
        """Subscribe the user's connections, including later ones, to a room.

        Messages up to `given_seq` are no longer delivered to them.
        """
        ...

    def unsubscribe(self, room_id: RoomId, user_id: UserId) -> None:
        """Unsubscribe the user's connections from a room."""
        ...


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Keep it from happening."""
        ...


class Clock(Protocol):
    """The time, and a call when it has come."""

    def now(self) -> datetime:
        """UTC, in whole milliseconds, never earlier than it said before.

        For what has to be in order: messages, rates, time-outs.
        """
        ...

    def wall_time(self) -> datetime:
        """UTC as the machine has it now, which may be earlier than before.

        For what other machines have dated, such as tokens: after the machine's clock was wrong and
        has been corrected, `now` stays ahead.
        """
        ...

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> Timer:
        """Call back once, after `delay`."""
        ...


NewMessageId = Callable[[], MessageId]
"""Makes a message's id: unique, and rising with time."""
