"""The connections of the merge state machine, with what they received."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs

from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.websocket.frames import contents
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from tests.fake_writer import RecordingWriter

USERS = [UserId(name) for name in ("ada", "bob", "eve")]

LOBBY = Room(RoomId("lobby"))

Result = TypeVar("Result")

Payload = dict[str, Any]


def run_now(work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine that does not wait."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    raise AssertionError("the coroutine waits")


@attrs.define
class MembershipPeriod:
    """A period in which a user is a member of the room."""

    since: int
    """The room's `last_seq` when the user joined."""
    until: int | None = None
    """The room's `last_seq` when the leave was answered, or its reply was lost."""
    join_was_answered: bool = False
    """Whether the join was answered."""


@attrs.define(eq=False)
class Client:
    """A connection and the packets written to it."""

    user_id: UserId
    connection_id: ConnectionId
    writer: RecordingWriter = attrs.field(init=False)
    subscriber: Subscriber = attrs.field(init=False)
    opening: "asyncio.Task[None] | None" = attrs.field(default=None, init=False)
    command: "asyncio.Task[object] | None" = attrs.field(default=None, init=False)
    is_open: bool = attrs.field(default=False, init=False)
    base_seqs: dict[Conversation, int] = attrs.field(factory=dict, init=False)
    received: dict[Conversation, list[int]] = attrs.field(factory=dict, init=False)
    acknowledged: dict[Conversation, set[int]] = attrs.field(factory=dict, init=False)
    member_count: int | None = attrs.field(default=None, init=False)
    """From the last `user_joined` or `user_left`."""

    def __attrs_post_init__(self) -> None:
        self.writer = RecordingWriter(takes_bytes=True)
        self.subscriber = Subscriber(
            self.connection_id, self.user_id, self.writer, SOCKETIO_ENCODING
        )
        self.writer.on_direct_writer = self.subscriber.set_direct_writer
        self.subscriber.set_direct_writer(self.writer)

    @property
    def is_idle(self) -> bool:
        return self.is_open and (self.command is None or self.command.done())

    def packets(self) -> list[tuple[str, Any]]:
        """Return and clear the packets written: events by name, acknowledgements as `ack`."""
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


def conversation_of(message: Payload) -> Conversation:
    if "room_id" in message:
        return LOBBY
    return Pair.of(UserId(message["from_user_id"]), UserId(message["to_user_id"]))
