"""The chat compared with a model, with retries, concurrent sends and offline users."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socketio_app.application.commands import JoinRoom, SendMessage
from socketio_app.application.events import MessageDelivered, MessageSent
from socketio_app.domain.conversations import Conversation, Person, Room, Target
from socketio_app.domain.identifiers import ClientMessageId, RoomId, UserId
from socketio_app.domain.messaging import Message, Stored
from tests.chat_harness import Device, LiveChat
from tests.stores import HookedStore

USERS = [UserId(name) for name in ("ada", "bob", "eve")]
LOBBY = Room(RoomId("lobby"))
TARGETS: list[Target] = [LOBBY, *map(Person, USERS)]


@attrs.define
class Yielding:
    """A hook that delays each append by some iterations of the event loop."""

    turns: list[int] = attrs.field(factory=list)

    async def __call__(self, call: str) -> None:
        if call == "append" and self.turns:
            for _ in range(self.turns.pop()):
                await asyncio.sleep(0)


@attrs.frozen
class Sending:
    """A user sends a message, possibly again."""

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
    """All users are members of one room."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.appends = Yielding()
        self.live = LiveChat(store=HookedStore(before=self.appends))
        for user in USERS:
            self.loop.run_until_complete(self.live.host(user, JoinRoom(LOBBY.room_id)))
        self.open: list[Device] = []
        self.all_devices: list[Device] = []
        self.confirmed: set[Message] = set()
        """Personal messages that a connection of their recipient has confirmed."""
        # The model: every send and its result.
        self.answers: list[tuple[Sending, Stored]] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule(batch=st.lists(sendings, min_size=1, max_size=6))
    def send_concurrently(self, batch: Sequence[Sending]) -> None:
        async def send(sending: Sending) -> Stored:
            command = SendMessage(
                sending.target,
                f"{sending.client_message_id} of {sending.user}",
                ClientMessageId(sending.client_message_id),
            )
            return await self.live.host(sending.user, command)

        async def send_all() -> list[Stored]:
            return await asyncio.gather(*map(send, batch))

        self.appends.turns = [sending.turns for sending in batch]
        answers = self.loop.run_until_complete(send_all())
        self.answers += zip(batch, answers, strict=True)

    @rule(user=st.sampled_from(USERS))
    def connect(self, user: UserId) -> None:
        device = self.loop.run_until_complete(self.live.connect(user))
        pushed = {event.message for event in device.of(MessageSent)}
        assert not pushed & self.confirmed
        self.open.append(device)
        self.all_devices.append(device)

    @rule(which=st.integers(0, 100))
    def confirm(self, which: int) -> None:
        if self.open:
            self.loop.run_until_complete(self._confirm(self.open[which % len(self.open)]))

    async def _confirm(self, device: Device) -> None:
        self.confirmed.update(device.connection.unconfirmed)
        device.confirm()
        await self.live.settled()

    @rule(which=st.integers(0, 100))
    def disconnect(self, which: int) -> None:
        if self.open:
            self.open.pop(which % len(self.open)).close()

    def sent(self) -> list[Message]:
        """Return every stored message once."""
        return list({s.message.message_id: s.message for _, s in self.answers}.values())

    @invariant()
    def seqs_are_consecutive(self) -> None:
        seqs: dict[Conversation, list[int]] = {}
        for message in self.sent():
            seqs.setdefault(message.conversation, []).append(message.seq)
        for taken in seqs.values():
            assert sorted(taken) == list(range(1, len(taken) + 1))

    @invariant()
    def retries_return_same_message(self) -> None:
        first: dict[tuple[UserId, Conversation, str], Stored] = {}
        originals: Counter[tuple[UserId, Conversation, str]] = Counter()
        for sending, answer in self.answers:
            key = (sending.user, answer.message.conversation, sending.client_message_id)
            assert first.setdefault(key, answer).message == answer.message
            assert answer.message.from_user_id == sending.user
            originals[key] += not answer.duplicate
        assert set(originals.values()) <= {1}

    @invariant()
    def connections_get_messages_once_in_order(self) -> None:
        for device in self.all_devices:
            seen: dict[Conversation, int] = {}
            for event in device.of(MessageSent):
                conversation, seq = event.message.conversation, event.message.seq
                assert seen.get(conversation, 0) < seq
                seen[conversation] = seq

    @invariant()
    def senders_are_notified_only_of_confirmed_messages(self) -> None:
        for device in self.all_devices:
            notified = {event.message for event in device.of(MessageDelivered)}
            assert {m for m in notified if m.to_user_id is not None} <= self.confirmed

    @invariant()
    def connected_users_got_all_their_messages(self) -> None:
        for user in {device.user_id for device in self.open}:
            had = {
                event.message.message_id
                for device in self.all_devices
                if device.user_id == user
                for event in device.of(MessageSent)
            }
            expected = {m.message_id for m in self.sent() if m.to_user_id == user}
            assert expected <= had

    @invariant()
    def deliveries_are_notified_at_most_once(self) -> None:
        for device in self.all_devices:
            notified_counts = Counter(
                event.message.message_id for event in device.of(MessageDelivered)
            )
            assert set(notified_counts.values()) <= {1}


MessagingMachine.TestCase.settings = settings(stateful_step_count=30)
TestMessaging = MessagingMachine.TestCase
