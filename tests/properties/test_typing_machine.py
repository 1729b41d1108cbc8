"""The typing board against a model: the whole history, read anew each time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.typing_board import TypingBoard, TypingStarted, TypingStopped

TTL = timedelta(seconds=8)
USERS = [UserId("ada"), UserId("bob")]
CONVERSATIONS: list[Conversation] = [
    Room(RoomId("lobby")),
    Pair.of(UserId("ada"), UserId("bob")),
    Pair.of(UserId("bob"), UserId("bob")),
]

users, conversations = st.sampled_from(USERS), st.sampled_from(CONVERSATIONS)


@attrs.frozen
class Key:
    """A key stroke, or what ends typing, as it happened."""

    user: UserId
    conversation: Conversation
    at: datetime
    starts: bool


class TypingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.board = TypingBoard(TTL)
        self.now = datetime(2026, 11, 23, tzinfo=UTC)
        self.history: list[Key] = []
        self.shown: set[tuple[UserId, Conversation]] = set()

    def ends_at(self, user: UserId, conversation: Conversation) -> datetime | None:
        """When the user's typing runs out, by the last thing that they did there."""
        done = [k for k in self.history if (k.user, k.conversation) == (user, conversation)]
        return done[-1].at + TTL if done and done[-1].starts else None

    def publish(self, changes: Iterable[TypingStarted | TypingStopped]) -> None:
        """Show what is told as a client would, which must be a change each time."""
        for change in changes:
            key = (change.user_id, change.conversation)
            if isinstance(change, TypingStarted):
                assert key not in self.shown
                assert change.expires_in == TTL
                self.shown.add(key)
            else:
                self.shown.remove(key)

    @rule(user=users, conversation=conversations)
    def start(self, user: UserId, conversation: Conversation) -> None:
        changes = self.board.start(user, conversation, self.now)

        end = self.ends_at(user, conversation)
        is_renewal = end is not None and self.now < end
        self.publish(changes)
        self.history.append(Key(user, conversation, self.now, starts=True))
        assert is_renewal == (len(changes) == 0)
        assert (user, conversation) in self.shown

    @rule(user=users, conversation=conversations)
    def stop(self, user: UserId, conversation: Conversation) -> None:
        self.publish(self.board.stop(user, conversation))

        self.history.append(Key(user, conversation, self.now, starts=False))
        assert (user, conversation) not in self.shown

    @rule(user=users)
    def stop_all(self, user: UserId) -> None:
        self.publish(self.board.stop_all(user))

        self.history += [Key(user, each, self.now, starts=False) for each in CONVERSATIONS]
        assert user not in {shown for shown, _ in self.shown}

    @rule(milliseconds=st.integers(0, 9000) | st.sampled_from([7999, 8000, 8001]))
    def let_time_pass(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule()
    def expire(self) -> None:
        self.publish(self.board.expire(self.now))

        typing = {
            (user, conversation)
            for user in USERS
            for conversation in CONVERSATIONS
            if (end := self.ends_at(user, conversation)) is not None and self.now < end
        }
        assert self.shown == typing

    @invariant()
    def the_next_expiry_is_the_earliest_of_what_is_shown(self) -> None:
        ends = [end for key in self.shown if (end := self.ends_at(*key)) is not None]

        assert self.board.next_expiry() == min(ends, default=None)


TestTyping = TypingMachine.TestCase
