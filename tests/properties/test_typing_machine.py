"""The typing board compared with a model, which replays the whole history each time."""

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
    """An event in the history: a start or renewal, or a stop."""

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

    def expiry(self, user: UserId, conversation: Conversation) -> datetime | None:
        """Return when the state expires according to its last event."""
        events = [k for k in self.history if (k.user, k.conversation) == (user, conversation)]
        return events[-1].at + TTL if events and events[-1].starts else None

    def publish(self, changes: Iterable[TypingStarted | TypingStopped]) -> None:
        """Apply the changes to the states shown by a client; each must be a real change."""
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

        end = self.expiry(user, conversation)
        is_renewal = end is not None and self.now < end
        self.publish(changes)
        self.history.append(Key(user, conversation, self.now, starts=True))
        assert is_renewal == (len(changes) == 0)
        assert (user, conversation) in self.shown

    @rule(user=users, conversation=conversations)
    def stop(self, user: UserId, conversation: Conversation) -> None:
        self.publish(self.board.stop(user, conversation, self.now))

        self.history.append(Key(user, conversation, self.now, starts=False))
        assert (user, conversation) not in self.shown

    @rule(user=users)
    def stop_all(self, user: UserId) -> None:
        self.publish(self.board.stop_all(user, self.now))

        self.history += [Key(user, each, self.now, starts=False) for each in CONVERSATIONS]
        assert user not in {shown for shown, _ in self.shown}

    @rule(milliseconds=st.integers(0, 9000) | st.sampled_from([7999, 8000, 8001]))
    def pass_time(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule()
    def expire(self) -> None:
        self.publish(self.board.expire(self.now))

        typing = {
            (user, conversation)
            for user in USERS
            for conversation in CONVERSATIONS
            if (end := self.expiry(user, conversation)) is not None and self.now < end
        }
        assert self.shown == typing

    @invariant()
    def next_expiry_is_earliest_of_shown_states(self) -> None:
        ends = [end for key in self.shown if (end := self.expiry(*key)) is not None]

        assert self.board.next_expiry() == min(ends, default=None)


TestTyping = TypingMachine.TestCase
