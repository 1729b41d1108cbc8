"""The chat against a model of what was sent: with retries, interleavings and absent people."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socketio_app.adapters.memory import MemoryStore
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, JoinRoom, SendMessage, Sent
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.application.ports import Identity, MessageLog
from socketio_app.application.rules import Rules
from socketio_app.domain.conversations import Conversation, Person, Room, Target
from socketio_app.domain.identifiers import ClientMessageId, ConnectionId, MessageId, RoomId, UserId
from socketio_app.domain.messaging import Draft, Message, Stored
from tests.clocks import ManualClock
from tests.recording import RecordingBroadcast

USERS = [UserId(name) for name in ("ada", "bob", "eve")]
LOBBY = Room(RoomId("lobby"))
TARGETS: list[Target] = [LOBBY, *map(Person, USERS)]


@attrs.define
class YieldingMessages:
    """A log that keeps its callers waiting, each for a number of turns of its own."""

    log: MessageLog
    turns: list[int] = attrs.field(factory=list)

    async def append(self, draft: Draft) -> Stored:
        for _ in range(self.turns.pop() if self.turns else 0):
            await asyncio.sleep(0)
        return await self.log.append(draft)

    async def last_seq(self, conversation: Conversation) -> int:
        return await self.log.last_seq(conversation)


@attrs.define
class YieldingStore:
    """The in-memory store with such a log."""

    store: MemoryStore
    messages: YieldingMessages

    @property
    def epoch(self) -> str:
        return self.store.epoch

    @property
    def deliveries(self) -> object:
        return self.store.deliveries

    @property
    def rooms(self) -> object:
        return self.store.rooms


@attrs.frozen
class Sending:
    """Somebody sends something, perhaps not for the first time."""

    user: UserId
    target: Target
    client_message_id: str
    turns: int


sendings = st.builds(
    Sending,
    st.sampled_from(USERS),
    st.sampled_from(TARGETS),
    st.sampled_from("abcdef"),
    st.integers(0, 3),
)


class MessagingMachine(RuleBasedStateMachine):
    """Everybody is a member of one room, and has up to two connections."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.broadcast = RecordingBroadcast()
        store = MemoryStore(100_000, 100_000, 100)
        self.messages = YieldingMessages(store.messages)
        ids = count(1)
        self.chat = Chat(
            YieldingStore(store, self.messages),  # type: ignore[arg-type]  # delegates the rest
            self.broadcast,
            ManualClock(),
            lambda: MessageId(f"m{next(ids)}"),
            Rules(rates={}),
        )
        for user in USERS:
            self.run(self.chat.execute(Actor(user), JoinRoom(LOBBY.room_id)))
        self.connections = count(1)
        self.open: list[tuple[UserId, ConnectionId]] = []
        self.owner: dict[str, UserId] = {}
        self.pushed: Counter[tuple[UserId, str]] = Counter()
        # What a model needs to know: who was answered what.
        self.answers: list[tuple[Sending, Sent]] = []

    def run(self, work: object) -> object:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]  # any awaitable

    def teardown(self) -> None:
        self.loop.close()

    @rule(batch=st.lists(sendings, min_size=1, max_size=6))
    def send_at_once(self, batch: Sequence[Sending]) -> None:
        async def send(sending: Sending) -> Sent:
            command = SendMessage(
                sending.target,
                f"{sending.client_message_id} of {sending.user}",
                ClientMessageId(sending.client_message_id),
            )
            return await self.chat.execute(Actor(sending.user), command)

        async def send_all() -> list[Sent]:
            return await asyncio.gather(*map(send, batch))

        self.messages.turns = [sending.turns for sending in batch]
        answers = self.loop.run_until_complete(send_all())
        self.answers += zip(batch, answers, strict=True)

    @rule(user=st.sampled_from(USERS))
    def connect(self, user: UserId) -> None:
        connection = ConnectionId(f"c{next(self.connections)}")
        self.owner[connection] = user

        async def connect() -> Sequence[Message]:
            opening = await self.chat.sessions.prepare(Identity(user, None), connection)
            self.broadcast.listen(user, connection)
            self.broadcast.told[connection] += opening.events()
            self.chat.sessions.open(user, connection)
            await self.chat.sessions.confirm(user, opening.undelivered)
            return opening.undelivered

        undelivered = self.loop.run_until_complete(connect())
        self.pushed.update((user, message.message_id) for message in undelivered)
        self.open.append((user, connection))

    @rule(which=st.integers(0, 100))
    def disconnect(self, which: int) -> None:
        if self.open:
            user, connection = self.open.pop(which % len(self.open))
            self.broadcast.end(connection)
            self.chat.sessions.close(user, connection)

    def sent(self) -> list[Message]:
        """Every message that exists, once."""
        return list({s.message.message_id: s.message for _, s in self.answers}.values())

    @invariant()
    def every_place_in_a_conversation_is_taken_once(self) -> None:
        places: dict[Conversation, list[int]] = {}
        for message in self.sent():
            places.setdefault(message.conversation, []).append(message.seq)
        for taken in places.values():
            assert sorted(taken) == list(range(1, len(taken) + 1))

    @invariant()
    def a_retry_is_answered_with_the_one_message_that_there_is(self) -> None:
        first: dict[tuple[UserId, Conversation, str], Sent] = {}
        originals: Counter[tuple[UserId, Conversation, str]] = Counter()
        for sending, answer in self.answers:
            key = (sending.user, answer.message.conversation, sending.client_message_id)
            assert first.setdefault(key, answer).message == answer.message
            assert answer.message.from_user_id == sending.user
            originals[key] += not answer.duplicate
        assert set(originals.values()) <= {1}

    @invariant()
    def a_connection_gets_each_message_once_and_in_order(self) -> None:
        for events in self.broadcast.told.values():
            seen: dict[Conversation, int] = {}
            for event in events:
                if isinstance(event, MessageSent):
                    conversation, seq = event.message.conversation, event.message.seq
                    assert seen.get(conversation, 0) < seq
                    seen[conversation] = seq

    @invariant()
    def a_message_to_an_absent_person_is_pushed_to_one_connection_only(self) -> None:
        assert set(self.pushed.values()) <= {1}

    @invariant()
    def a_person_with_a_connection_has_had_every_message_to_them(self) -> None:
        for user in {user for user, _ in self.open}:
            had = {
                event.message.message_id
                for connection, events in self.broadcast.told.items()
                if self.owner[connection] == user
                for event in events
                if isinstance(event, MessageSent)
            }
            owed = {m.message_id for m in self.sent() if m.to_user_id == user}
            assert owed <= had

    @invariant()
    def a_sender_is_told_of_a_delivery_at_most_once_on_a_connection(self) -> None:
        for events in self.broadcast.told.values():
            told = Counter(e.message_id for e in events if isinstance(e, MessageDelivered))
            assert set(told.values()) <= {1}


MessagingMachine.TestCase.settings = settings(stateful_step_count=30)
TestMessaging = MessagingMachine.TestCase
