"""Interfaces that the use cases need, implemented by adapters.

Each port has a contract suite (tests/contracts) that all of its adapters pass.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from socketio_app.application.commands import RoomJoined
from socketio_app.application.events import Audience, DisconnectReason, Event, OneConnection, Users
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.activity import Change, Mark
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.history import ConversationState, Page, ReadMarker, Recent, Window
from socketio_app.domain.identifiers import MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from socketio_app.domain.rooms import Left, Membership


@attrs.frozen
class Identity:
    """The user that a token authenticates."""

    user_id: UserId
    expires_at: datetime | None
    """Expiry of the token, UTC; `None` if it does not expire or the verifier does not know."""


class TokenVerifier(Protocol):
    """Authenticates users by their tokens."""

    async def verify(self, token: str) -> Identity:
        """Return the identity of a valid token.

        Raises:
            Unauthenticated: the token is invalid. The message does not reveal why.
            TokenExpired: the token has expired.
            Unavailable: the token cannot be verified now; the client can retry.
        """
        ...


ConversationSeq = tuple[Conversation, int]
"""A conversation and a `seq` in it."""


class MessageLog(Protocol):
    """Stores messages, and assigns each its `seq`.

    Appends are atomic, even if they are concurrent: each `seq` is used once, without gaps, and a
    `client_message_id` is unique per sender and conversation. Appends to the same conversation
    return in order of `seq`.
    """

    async def append(self, draft: Draft) -> Stored:
        """Store a message, or find the one that its sender has stored before.

        Raises:
            Unavailable: the message cannot be stored now, and was not.
        """
        ...

    async def last_seq(self, conversation: Conversation) -> int:
        """Return the `seq` of the conversation's newest message, or 0 if there is none."""
        ...

    async def page(self, conversation: Conversation, window: Window) -> Page:
        """Return the conversation's messages in a window.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def newest(
        self, beyond: Sequence[ConversationSeq], limit: int
    ) -> Sequence[Sequence[Message]]:
        """Return each conversation's newest messages after a `seq`, in ascending order.

        At most `limit` per conversation.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...


class DeliveryLog(Protocol):
    """Records up to which `seq` each user's clients have received the messages of a pair.

    There is one cursor per user and pair. It only moves forward.
    """

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        """Return personal messages to the user that none of their clients has received.

        At most `limit`. Pairs with the newest messages come first; within a pair, messages are in
        ascending `seq`, starting with the first undelivered one.
        """
        ...

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return those of these personal messages that none of the recipient's clients has.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    def delivered(
        self, messages: Sequence[Message], first_time: Callable[[Sequence[Message]], None]
    ) -> None:
        """Advance the delivery cursors of the messages' recipients to these messages.

        Does not wait, and delays no append. Once cursors are stored, `first_time` is called with
        the messages that were beyond them, in order, possibly a part at a time. Messages whose
        cursor cannot be stored are left out.
        """
        ...


class ConversationLog(Protocol):
    """Lists users' conversations, and stores how far they have read."""

    async def of_user(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[ConversationState]:
        """Return a user's pairs and rooms, most recently active first.

        Args:
            user_id: the user.
            limit: maximum number of conversations.
            before_activity: only conversations with a lower activity, for the next page.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def recent(
        self, user_id: UserId, limit: int, before_activity: int | None = None
    ) -> Sequence[Recent]:
        """Return the same as `of_user`, with each newest message, from a single snapshot.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def mark_read(self, user_id: UserId, conversation: Conversation, seq: int) -> ReadMarker:
        """Move the user's read marker forward, at most to the conversation's newest message.

        Raises:
            Unavailable: the marker cannot be stored now, and was not.
        """
        ...


class ActivityLog(Protocol):
    """Finds new activity in a user's conversations, at a cost proportional to its amount."""

    async def mark(self) -> Mark:
        """Return the current mark. Later reads see everything up to `settled`.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def recent_mark(self) -> Mark:
        """Return a mark that is at most about a second old, usually without reading the store.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def changes(
        self, user_id: UserId, since: int, given: int, limit: int
    ) -> Sequence[Change]:
        """Return a user's conversations with activity after `given`, in ascending order of it.

        Args:
            user_id: the user.
            since: rooms that the user joined after this activity have `is_joined` set.
            given: only conversations after this activity, which is not less than `since`.
            limit: maximum number of conversations.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def new_messages(
        self, changes: Sequence[Change], beyond: Sequence[int], since: int, limit: int
    ) -> Sequence[Sequence[Message]]:
        """Return the newest messages of each change's conversation, in ascending `seq`.

        Messages must have an activity after `since`, a `seq` after the conversation's in `beyond`,
        and be no newer than their `Change`; at most `limit` per conversation.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...


class RoomRepository(Protocol):
    """Stores room memberships.

    Joins, leaves and reads of `membership` of the same room return in the order in which they took
    effect, each with the member count at that point.
    """

    async def join(self, room_id: RoomId, user_id: UserId, at: datetime) -> RoomJoined:
        """Make the user a member. `last_seq` of the result is the room's at the time of joining.

        Messages from before the user joined count as read.

        Raises:
            InvalidPayload: the user is in the maximum number of rooms.
            Unavailable: the membership cannot be stored now, and was not.
        """
        ...

    async def leave(self, room_id: RoomId, user_id: UserId) -> Left:
        """End the user's membership.

        Raises:
            Unavailable: the change cannot be stored now, and was not.
        """
        ...

    async def membership(self, room_id: RoomId, user_id: UserId) -> Membership:
        """Return whether the user is in the room, and the member count.

        Raises:
            Unavailable: the store cannot be read now.
        """
        ...

    async def is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether the user is in the room."""
        ...

    async def member_count(self, room_id: RoomId) -> int:
        """Return the number of members; 0 if the room does not exist."""
        ...

    async def rooms_of(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the user's rooms in the order of joining."""
        ...


class Store(Protocol):
    """Persistent state."""

    @property
    def capabilities(self) -> StoreCapabilities:
        """What callers may assume about this store."""
        ...

    async def start(self) -> None:
        """Open the store. A second call does nothing.

        Raises:
            StoreError: the store cannot be used.
            Unavailable: the store does not respond now.
        """
        ...

    async def close(self) -> None:
        """Store everything that was accepted, and close the store. It can be started again."""
        ...

    async def check(self) -> None:
        """Check that the store responds and, if its last write failed, that it can write again.

        Raises:
            Unavailable: the check failed.
        """
        ...

    @property
    def epoch(self) -> str:
        """Identifier that changes exactly when positions held by clients become meaningless."""
        ...

    @property
    def messages(self) -> MessageLog:
        """Messages."""
        ...

    @property
    def deliveries(self) -> DeliveryLog:
        """Delivery cursors of personal messages."""
        ...

    @property
    def conversations(self) -> ConversationLog:
        """Users' conversations and read markers."""
        ...

    @property
    def activity(self) -> ActivityLog:
        """New activity in conversations."""
        ...

    @property
    def rooms(self) -> RoomRepository:
        """Room memberships."""
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
    """A scheduled callback."""

    def cancel(self) -> None:
        """Cancel the callback."""
        ...


class Clock(Protocol):
    """The current time, and timers."""

    def now(self) -> datetime:
        """Return the time in UTC, in whole milliseconds; it never decreases.

        Use it for anything that must be in order: messages, rates, time-outs.
        """
        ...

    def wall_time(self) -> datetime:
        """Return the machine's current time in UTC; it can decrease.

        Use it to compare with times set by other machines, such as those in tokens: if the
        machine's clock was ahead and has been corrected, `now` stays ahead.
        """
        ...

    def call_later(self, delay: timedelta, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, after `delay`."""
        ...


NewMessageId = Callable[[], MessageId]
"""Generates a message's id: unique, and increasing over time."""
