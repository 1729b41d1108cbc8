"""What each connection receives when the store's replies are late or lost, and with retries.

The real use cases and the real hub run on a store whose calls are completed or failed by the state
machine. The code for large rooms is used from three connections on.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, encode_event
from socketio_app.adapters.socketio.events import CommandEvent
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, RoomJoined
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity
from socketio_app.domain.conversations import Conversation, Pair
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.history import Window
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.rooms import Left
from tests.chat_harness import numbered_message_ids
from tests.clocks import ManualClock
from tests.faulty import Call, FaultyStore
from tests.properties.merge_client import (
    LOBBY,
    USERS,
    Client,
    MembershipPeriod,
    Payload,
    Result,
    conversation_of,
    run_now,
)

LARGE_ROOM = 2

TARGETS = ["lobby", *USERS]


class MergeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = FaultyStore()
        self.store.on_effect, self.store.on_answer = self.note_effect, self.note_answer
        self.hub = Hub(SOCKETIO_ENCODING, LARGE_ROOM)
        self.clock = ManualClock()
        self.chat = Chat(
            self.store,
            self.hub,
            CustomVerifier(lambda _token: None, self.clock),
            self.clock,
            numbered_message_ids(),
            Limits(rates={}, refusals=None),
        )
        self.loop.run_until_complete(self.open_chat())
        self.dispatcher = CommandDispatcher(self.chat, RejectionLog())
        self.clients: list[Client] = []
        self.unanswered: set[str] = set()
        """Messages that failed as unavailable, and of which no retry succeeded.

        A stored one is broadcast with the next message of its conversation.
        """
        self.failed: list[tuple[UserId, str, Payload]] = []
        """Messages that failed as unavailable, which can be retried."""
        self.periods: dict[UserId, list[MembershipPeriod]] = {user: [] for user in USERS}
        self.memberships_failed = False
        self.numbers = count(1)

    def teardown(self) -> None:
        try:
            self.check_final_state()
        finally:
            self.chat.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    async def open_chat(self) -> None:
        self.chat.open()

    # Steps of the state machine.

    @initialize(
        users=st.lists(st.sampled_from(USERS), max_size=4), members=st.sets(st.sampled_from(USERS))
    )
    def connect_and_join(self, users: Sequence[UserId], members: set[UserId]) -> None:
        """Connect some users, and make some of them members."""
        for user in users:
            self.connect(user)
        self.settle()
        for user in members & self.online():
            client = next(client for client in self.clients if client.user_id == user)
            self.command(client, "join_room", {"room_id": LOBBY.room_id})
        self.settle()

    @rule(user=st.sampled_from(USERS))
    def connect(self, user: UserId) -> None:
        if sum(client.user_id == user for client in self.clients) == 2:
            return
        client = Client(user, ConnectionId(f"c{next(self.numbers)}"))
        self.clients.append(client)
        client.opening = self.loop.create_task(self.open(client))
        self.turn()

    async def open(self, client: Client) -> None:
        self.hub.attach(client.subscriber)
        try:
            opening = await self.chat.sessions.prepare(
                Identity(client.user_id, None), client.connection_id
            )
        except Unavailable:
            self.hub.detach(client.subscriber)
            self.clients.remove(client)
            return
        client.subscriber.release(opening, encode_event(opening.connected))
        self.chat.sessions.open(opening)
        client.is_open = True
        for conversation in self.conversations(client.user_id):
            client.base_seqs[conversation] = self.last_seq(conversation)

    @precondition(lambda self: any(client.is_open for client in self.clients))
    @rule(which=st.integers(0, 9))
    def disconnect(self, which: int) -> None:
        client = self.pick([client for client in self.clients if client.is_open], which)
        self.clients.remove(client)
        self.hub.detach(client.subscriber)
        self.chat.sessions.close(client.user_id, client.connection_id)

    @precondition(lambda self: any(client.is_idle for client in self.clients))
    @rule(which=st.integers(0, 9), to=st.sampled_from(TARGETS))
    def send(self, which: int, to: str) -> None:
        client = self.pick_idle(which)
        payload: Payload = {"content": "hello", "client_message_id": f"m{next(self.numbers)}"}
        if to == "lobby":
            self.command(client, "send_group_message", {**payload, "room_id": to})
        else:
            self.command(client, "send_personal_message", {**payload, "to_user_id": to})

    @precondition(lambda self: any(client.is_idle for client in self.clients))
    @rule(which=st.integers(0, 9))
    def send_to_room(self, which: int) -> None:
        self.send(which, "lobby")

    @precondition(lambda self: any(client.is_idle for client in self.clients) and self.failed)
    @rule(which=st.integers(0, 9), message=st.integers(0, 9))
    def retry(self, which: int, message: int) -> None:
        client = self.pick_idle(which)
        own = [each for each in self.failed if each[0] == client.user_id]
        if own:
            failed = self.pick(own, message)
            self.failed.remove(failed)
            self.command(client, *failed[1:])

    @precondition(lambda self: any(client.is_idle for client in self.clients))
    @rule(which=st.integers(0, 9), name=st.sampled_from(["join_room", "join_room", "leave_room"]))
    def change_membership(self, which: int, name: str) -> None:
        self.command(self.pick_idle(which), name, {"room_id": LOBBY.room_id})

    @precondition(lambda self: self.store.pending())
    @rule(which=st.integers(0, 9), times=st.integers(1, 4))
    def complete_calls(self, which: int, times: int) -> None:
        for _ in range(times):
            pending = self.store.pending()
            if pending:
                self.pick(pending, which).proceed()
                self.turn()

    @precondition(lambda self: self.store.pending())
    @rule()
    def complete_oldest_call(self) -> None:
        self.complete_calls(0, 1)

    @precondition(lambda self: self.store.pending())
    @rule(which=st.integers(0, 9))
    def fail(self, which: int) -> None:
        call = self.pick(self.store.pending(), which)
        if call.name in {"join", "leave", "membership"}:
            self.memberships_failed = True
        call.fail()
        self.turn()

    @precondition(lambda self: self.store.late)
    @rule(which=st.integers(0, 9))
    def apply_late_append(self, which: int) -> None:
        draft = self.pick(self.store.late, which)
        self.store.late.remove(draft)
        run_now(self.store.memory.messages.append(draft))

    @rule()
    def wait(self) -> None:
        self.pass_time()

    @rule()
    def settle(self) -> None:
        for _ in range(3):
            while self.store.calls:
                for call in self.store.pending():
                    call.proceed()
                self.turn()
            self.pass_time()
        assert not self.store.calls
        self.check_all_member_counts()

    # Execution.

    def command(self, client: Client, name: str, payload: Payload) -> None:
        event = CommandEvent(1, name, [payload])
        actor_id = client.user_id

        async def run() -> None:
            actor = Actor(actor_id, client.connection_id)
            outcome = await self.dispatcher.dispatch(actor, client.subscriber, event)
            if outcome == "unavailable" and "client_message_id" in payload:
                self.unanswered.add(payload["client_message_id"])
                self.failed.append((actor_id, name, payload))

        client.command = self.loop.create_task(run())
        self.turn()

    def turn(self) -> None:
        """Run everything that does not wait for the store."""
        for _ in range(12):
            self.loop.run_until_complete(asyncio.sleep(0))
        for client in self.clients:
            for name, payload in client.packets():
                self.check_packet(client, name, payload)

    def pass_time(self) -> None:
        async def advance_clock() -> None:
            self.clock.advance(timedelta(seconds=1))

        self.loop.run_until_complete(advance_clock())
        self.turn()

    def note_effect(self, call: Call) -> None:
        if call.user_id is not None and isinstance(call.result, RoomJoined) and call.result.joined:
            self.periods[call.user_id].append(MembershipPeriod(call.result.last_seq))

    def note_answer(self, call: Call) -> None:
        if call.user_id is None or not call.in_effect:
            return
        periods = self.periods[call.user_id]
        if isinstance(call.result, RoomJoined) and call.result.joined:
            periods[-1].join_was_answered = call.is_answered
        elif isinstance(call.result, Left) and call.result.left:
            periods[-1].until = self.last_seq(LOBBY)

    # Checks.

    def check_packet(self, client: Client, name: str, payload: Payload) -> None:
        if name == "ack" and payload["ok"] and "message" in payload:
            message = payload["message"]
            acknowledged = client.acknowledged.setdefault(conversation_of(message), set())
            acknowledged.add(message["seq"])
            self.unanswered.discard(message["client_message_id"])
        elif name in {"receive_personal_message", "receive_group_message"}:
            self.check_message(client, conversation_of(payload), payload["seq"])
        elif name in {"user_joined", "user_left"}:
            self.check_member_count(client, name, payload)

    def check_message(self, client: Client, conversation: Conversation, seq: int) -> None:
        received = client.received.setdefault(conversation, [])
        assert not received or seq > received[-1], f"{seq} after {received}"
        base = client.base_seqs.get(conversation, seq)
        if conversation == LOBBY:
            period = self.period_of(client.user_id, seq)
            assert period is not None, f"{client.user_id} received {seq} outside of {self.periods}"
            if period.join_was_answered:
                base = max(base, period.since)
            else:
                base = max(
                    [base, period.since, *(each for each in received if each > period.since)]
                )
                base = base if received and received[-1] > period.since else seq
        had = {*received, *client.acknowledged.get(conversation, ())}
        missing = [each for each in range(base + 1, seq) if each not in had]
        assert not missing, f"{seq} was sent without {missing}"
        received.append(seq)

    def check_member_count(self, client: Client, name: str, payload: Payload) -> None:
        change = 1 if name == "user_joined" else -1
        known, client.member_count = client.member_count, payload["member_count"]
        if payload["user_id"] == client.user_id:
            if name == "user_left":
                client.member_count = None
        elif known is not None and not self.memberships_failed:
            assert payload["member_count"] == known + change

    def period_of(self, user_id: UserId, seq: int) -> MembershipPeriod | None:
        """Return the membership that a message belongs to, if any.

        After a join whose reply was lost, an earlier message may still arrive late: the server does
        not know the join's `last_seq`.
        """
        for period in self.periods[user_id]:
            is_after_join = period.since < seq or not period.join_was_answered
            if is_after_join and (period.until is None or seq <= period.until):
                return period
        return None

    def check_all_member_counts(self) -> None:
        actual = run_now(self.store.memory.rooms.member_count(LOBBY.room_id))
        for client in self.clients:
            assert client.member_count in {None, actual}

    @invariant()
    def no_connection_is_closed(self) -> None:
        assert not any(
            client.writer.close_reason or client.writer.faults for client in self.clients
        )

    def check_final_state(self) -> None:
        """Check that after retries, with the store available, every connection has all messages."""
        self.settle()
        failed, self.failed = self.failed, []
        for user_id, name, payload in failed:
            for client in [each for each in self.clients if each.user_id == user_id][:1]:
                self.command(client, name, payload)
                self.settle()
        for client in self.clients:
            assert client.is_idle
            self.check_membership(client)
            if all(user_id in self.online() for user_id, *_ in failed):
                self.check_completeness(client)

    def online(self) -> set[UserId]:
        return {client.user_id for client in self.clients}

    def check_membership(self, client: Client) -> None:
        is_member = run_now(self.store.memory.rooms.is_member(LOBBY.room_id, client.user_id))
        assert (LOBBY.room_id in self.hub._rooms.get(client.user_id, ())) == is_member

    def check_completeness(self, client: Client) -> None:
        for conversation in self.conversations(client.user_id):
            base, last_seq = client.base_seqs[conversation], self.last_seq(conversation)
            if conversation == LOBBY:
                periods = self.periods[client.user_id]
                if (
                    not periods
                    or periods[-1].until is not None
                    or not periods[-1].join_was_answered
                ):
                    continue
                base = max(base, periods[-1].since)
            had = {
                *client.received.get(conversation, ()),
                *client.acknowledged.get(conversation, ()),
            }
            late = {draft.conversation for draft in self.store.late}
            if conversation not in late:
                page = run_now(self.store.memory.messages.page(conversation, Window(limit=200)))
                expected = {
                    message.seq
                    for message in page.messages
                    if base < message.seq <= last_seq
                    and message.client_message_id not in self.unanswered
                }
                missing = expected - had
                assert not missing, f"{client.user_id} never received {missing} of {conversation}"

    # Helpers.

    def pick_idle(self, which: int) -> Client:
        return self.pick([client for client in self.clients if client.is_idle], which)

    def pick(self, among: Sequence[Result], which: int) -> Result:
        return among[which % len(among)]

    def conversations(self, user_id: UserId) -> list[Conversation]:
        return [LOBBY, *(Pair.of(user_id, other) for other in USERS)]

    def last_seq(self, conversation: Conversation) -> int:
        return run_now(self.store.memory.messages.last_seq(conversation))


MergeMachine.TestCase.settings = settings(stateful_step_count=60, max_examples=100)

TestMerge = MergeMachine.TestCase
