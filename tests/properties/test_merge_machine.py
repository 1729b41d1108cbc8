"""What each connection hears, whatever the store does: late answers, lost answers, retries.

The real use cases and the real hub run over a store whose every call is moved on, or fails, where
the machine says so. The large rooms' path is taken from three connections on.
"""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.refusal_log import RefusalLog
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, frame_of
from socketio_app.adapters.socketio.events import CommandEvent
from socketio_app.adapters.websocket.frames import contents
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, RoomJoined
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from socketio_app.domain.rooms import Left
from tests.chat_harness import numbered_message_ids
from tests.clocks import ManualClock
from tests.fake_writer import RecordingWriter
from tests.faulty import Call, FaultyStore

USERS = [UserId(name) for name in ("ada", "bob", "eve")]
LOBBY = Room(RoomId("lobby"))
LARGE_ROOM = 2
TARGETS = ["lobby", *USERS]

Result = TypeVar("Result")
Payload = dict[str, Any]


def at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that does not wait."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    raise AssertionError("it waits")


@attrs.define
class Stay:
    """A stay of a user's in the room."""

    since: int
    """The room's newest place as they joined."""
    until: int | None = None
    """The same as they were told that they have left, or were not told anything."""
    joined_well: bool = False
    """Whether the answer to the join has arrived."""


@attrs.define(eq=False)
class Client:
    """A connection, and what was written to it."""

    user_id: UserId
    connection_id: ConnectionId
    writer: RecordingWriter = attrs.field(init=False)
    subscriber: Subscriber = attrs.field(init=False)
    opening: "asyncio.Task[None] | None" = attrs.field(default=None, init=False)
    command: "asyncio.Task[object] | None" = attrs.field(default=None, init=False)
    is_open: bool = attrs.field(default=False, init=False)
    had_at_open: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    heard: dict[Conversation, list[int]] = attrs.field(factory=dict, init=False)
    acknowledged: dict[Conversation, set[int]] = attrs.field(factory=dict, init=False)
    member_count: int | None = attrs.field(default=None, init=False)
    """As the last `user_joined` or `user_left` has it."""

    def __attrs_post_init__(self) -> None:
        self.writer = RecordingWriter(takes_bytes=True)
        self.subscriber = Subscriber(
            self.connection_id, self.user_id, self.writer, SOCKETIO_ENCODING
        )
        self.writer.on_direct = self.subscriber.set_direct
        self.subscriber.set_direct(self.writer)

    @property
    def is_idle(self) -> bool:
        return self.is_open and (self.command is None or self.command.done())

    def packets(self) -> list[tuple[str, Any]]:
        """What was written since the last time: events by name, acknowledgements as `ack`."""
        found = []
        for frame in self.writer.frames:
            text = contents(frame)[1]
            if text.startswith(b"43"):
                found.append(("ack", json.loads(text[text.index(b"[") :])[0]))
            else:
                name, payload = json.loads(text.removeprefix(b"42"))
                found.append((name, payload))
        self.writer.frames.clear()
        return found


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
        self.loop.run_until_complete(self.begin_to_serve())
        self.dispatcher = CommandDispatcher(self.chat, RefusalLog())
        self.clients: list[Client] = []
        self.failed: list[tuple[UserId, str, Payload]] = []
        """Messages that were refused as unavailable, and may be sent again."""
        self.stays: dict[UserId, list[Stay]] = {user: [] for user in USERS}
        self.memberships_failed = False
        self.numbers = count(1)

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            self.chat.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    async def begin_to_serve(self) -> None:
        self.chat.open()

    # What the machine does.

    @initialize(
        users=st.lists(st.sampled_from(USERS), max_size=4), members=st.sets(st.sampled_from(USERS))
    )
    def begin(self, users: Sequence[UserId], members: set[UserId]) -> None:
        """Some are connected, some are members."""
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
        client.subscriber.release(opening, frame_of(opening.connected))
        self.chat.sessions.open(opening)
        client.is_open = True
        for conversation in self.conversations(client.user_id):
            client.had_at_open[conversation] = self.last_seq(conversation)

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
    def send_to_the_room(self, which: int) -> None:
        self.send(which, "lobby")

    @precondition(lambda self: any(client.is_idle for client in self.clients) and self.failed)
    @rule(which=st.integers(0, 9), message=st.integers(0, 9))
    def send_again(self, which: int, message: int) -> None:
        client = self.pick_idle(which)
        own = [each for each in self.failed if each[0] == client.user_id]
        if own:
            again = self.pick(own, message)
            self.failed.remove(again)
            self.command(client, *again[1:])

    @precondition(lambda self: any(client.is_idle for client in self.clients))
    @rule(which=st.integers(0, 9), name=st.sampled_from(["join_room", "join_room", "leave_room"]))
    def change_membership(self, which: int, name: str) -> None:
        self.command(self.pick_idle(which), name, {"room_id": LOBBY.room_id})

    @precondition(lambda self: self.store.movable())
    @rule(which=st.integers(0, 9), times=st.integers(1, 4))
    def move_on(self, which: int, times: int) -> None:
        for _ in range(times):
            movable = self.store.movable()
            if movable:
                self.pick(movable, which).go_on(well=True)
                self.turn()

    @precondition(lambda self: self.store.movable())
    @rule()
    def move_the_oldest_on(self) -> None:
        self.move_on(0, 1)

    @precondition(lambda self: self.store.movable())
    @rule(which=st.integers(0, 9))
    def fail(self, which: int) -> None:
        call = self.pick(self.store.movable(), which)
        if call.name in {"join", "leave", "membership"}:
            self.memberships_failed = True
        call.go_on(well=False)
        self.turn()

    @precondition(lambda self: self.store.late)
    @rule(which=st.integers(0, 9))
    def take_effect_after_all(self, which: int) -> None:
        draft = self.pick(self.store.late, which)
        self.store.late.remove(draft)
        at_once(self.store.memory.messages.append(draft))

    @rule()
    def wait(self) -> None:
        self.let_time_pass()

    @rule()
    def settle(self) -> None:
        for _ in range(3):
            while self.store.calls:
                for call in self.store.movable():
                    call.go_on(well=True)
                self.turn()
            self.let_time_pass()
        assert not self.store.calls
        self.check_counts()

    # How it does it.

    def command(self, client: Client, name: str, payload: Payload) -> None:
        event = CommandEvent(1, name, [payload])
        actor_id = client.user_id

        async def run() -> None:
            actor = Actor(actor_id, client.connection_id)
            outcome = await self.dispatcher.dispatch(actor, client.subscriber, event)
            if outcome == "unavailable" and "client_message_id" in payload:
                self.failed.append((actor_id, name, payload))

        client.command = self.loop.create_task(run())
        self.turn()

    def turn(self) -> None:
        """Let everything happen that does not wait for the store."""
        for _ in range(12):
            self.loop.run_until_complete(asyncio.sleep(0))
        for client in self.clients:
            for name, payload in client.packets():
                self.take(client, name, payload)

    def let_time_pass(self) -> None:
        async def advance() -> None:
            self.clock.advance(timedelta(seconds=1))

        self.loop.run_until_complete(advance())
        self.turn()

    def note_effect(self, call: Call) -> None:
        if call.user_id is not None and isinstance(call.result, RoomJoined) and call.result.joined:
            self.stays[call.user_id].append(Stay(call.result.last_seq))

    def note_answer(self, call: Call) -> None:
        if call.user_id is None or not call.in_effect:
            return
        stays = self.stays[call.user_id]
        if isinstance(call.result, RoomJoined) and call.result.joined:
            stays[-1].joined_well = call.is_answered
        elif isinstance(call.result, Left) and call.result.left:
            stays[-1].until = self.last_seq(LOBBY)

    # What must be so.

    def take(self, client: Client, name: str, payload: Payload) -> None:
        if name == "ack" and payload["ok"] and "message" in payload:
            message = payload["message"]
            acknowledged = client.acknowledged.setdefault(_conversation(message), set())
            acknowledged.add(message["seq"])
        elif name in {"receive_personal_message", "receive_group_message"}:
            self.take_message(client, _conversation(payload), payload["seq"])
        elif name in {"user_joined", "user_left"}:
            self.take_membership(client, name, payload)

    def take_message(self, client: Client, conversation: Conversation, seq: int) -> None:
        heard = client.heard.setdefault(conversation, [])
        assert not heard or seq > heard[-1], f"{seq} after {heard}"
        base = client.had_at_open.get(conversation, seq)
        if conversation == LOBBY:
            stay = self.stay_of(client.user_id, seq)
            assert stay is not None, f"{client.user_id} hears {seq} outside of {self.stays}"
            if stay.joined_well:
                base = max(base, stay.since)
            else:
                base = max([base, stay.since, *(each for each in heard if each > stay.since)])
                base = base if heard and heard[-1] > stay.since else seq
        had = {*heard, *client.acknowledged.get(conversation, ())}
        missing = [each for each in range(base + 1, seq) if each not in had]
        assert not missing, f"{seq} comes without {missing}"
        heard.append(seq)

    def take_membership(self, client: Client, name: str, payload: Payload) -> None:
        change = 1 if name == "user_joined" else -1
        known, client.member_count = client.member_count, payload["member_count"]
        if payload["user_id"] == client.user_id:
            if name == "user_left":
                client.member_count = None
        elif known is not None and not self.memberships_failed:
            assert payload["member_count"] == known + change

    def stay_of(self, user_id: UserId, seq: int) -> Stay | None:
        for stay in self.stays[user_id]:
            if stay.since < seq and (stay.until is None or seq <= stay.until):
                return stay
        return None

    def check_counts(self) -> None:
        true = at_once(self.store.memory.rooms.member_count(LOBBY.room_id))
        for client in self.clients:
            assert client.member_count in {None, true}

    @invariant()
    def no_connection_is_cut(self) -> None:
        assert not any(client.writer.ended or client.writer.faults for client in self.clients)

    def end_well(self) -> None:
        """When the store is well and everything was sent again, everybody has everything."""
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
        is_member = at_once(self.store.memory.rooms.is_member(LOBBY.room_id, client.user_id))
        assert (LOBBY.room_id in self.hub._rooms.get(client.user_id, ())) == is_member

    def check_completeness(self, client: Client) -> None:
        for conversation in self.conversations(client.user_id):
            base, last_seq = client.had_at_open[conversation], self.last_seq(conversation)
            if conversation == LOBBY:
                stays = self.stays[client.user_id]
                if not stays or stays[-1].until is not None or not stays[-1].joined_well:
                    continue
                base = max(base, stays[-1].since)
            had = {
                *client.heard.get(conversation, ()),
                *client.acknowledged.get(conversation, ()),
            }
            late = {draft.conversation for draft in self.store.late}
            if conversation not in late:
                assert {*range(base + 1, last_seq + 1)} <= had

    # Help.

    def pick_idle(self, which: int) -> Client:
        return self.pick([client for client in self.clients if client.is_idle], which)

    def pick(self, among: Sequence[Result], which: int) -> Result:
        return among[which % len(among)]

    def conversations(self, user_id: UserId) -> list[Conversation]:
        return [LOBBY, *(Pair.of(user_id, other) for other in USERS)]

    def last_seq(self, conversation: Conversation) -> int:
        return at_once(self.store.memory.messages.last_seq(conversation))


def _conversation(message: Payload) -> Conversation:
    if "room_id" in message:
        return LOBBY
    return Pair.of(UserId(message["from_user_id"]), UserId(message["to_user_id"]))


MergeMachine.TestCase.settings = settings(stateful_step_count=60, max_examples=100)
TestMerge = MergeMachine.TestCase
