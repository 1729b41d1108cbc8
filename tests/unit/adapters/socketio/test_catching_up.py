"""Catching up while a conversation continues."""

import asyncio
import json
from typing import Any

import pytest

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.fanout.dispatcher import CommandDispatcher
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, encode_event
from socketio_app.adapters.socketio.events import CommandEvent
from socketio_app.adapters.websocket.frames import contents
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Identity
from socketio_app.domain.identifiers import ConnectionId
from tests.builders import ADA, BOB, personal
from tests.chat_harness import numbered_message_ids
from tests.clocks import ManualClock
from tests.fake_writer import RecordingWriter
from tests.stores import Gate, HookedStore, nothing

pytestmark = pytest.mark.anyio


def packets(writer: RecordingWriter) -> list[tuple[str, Any]]:
    texts = [contents(frame)[1] for frame in writer.frames]
    found = [(text[:2].decode(), json.loads(text[text.index(b"[") :])) for text in texts]
    return [(kind, each[0] if kind == "43" else each) for kind, each in found]


@pytest.mark.parametrize("is_in_the_answer", [True, False])
async def test_broadcasts_during_catch_up_follow_reply_without_duplicates(
    is_in_the_answer: bool,
) -> None:
    gate, clock, hub, writer = Gate(), ManualClock(), Hub(SOCKETIO_ENCODING), RecordingWriter()
    hooks = (gate, nothing) if is_in_the_answer else (nothing, gate)
    store = HookedStore(*hooks)
    verifier = CustomVerifier(lambda _token: None, clock)
    limits = Limits(rates={}, refusals=None)
    chat = Chat(store, hub, verifier, clock, numbered_message_ids(), limits)
    chat.open()
    subscriber = Subscriber(ConnectionId("1"), ADA, writer, SOCKETIO_ENCODING)
    subscriber.set_direct_writer(writer)
    hub.attach(subscriber)
    opening = await chat.sessions.prepare(Identity(ADA, None), subscriber.connection_id)
    subscriber.release(opening, encode_event(opening.connected))
    chat.sessions.open(opening)
    await chat.execute(Actor(BOB), personal(ADA, "one"))
    writer.frames.clear()
    gate.hold_next("newest")
    catch_up = CommandEvent(1, "catch_up", [{"epoch": store.epoch, "positions": []}])
    dispatcher = CommandDispatcher(chat, RejectionLog())
    answering = asyncio.create_task(
        _run(dispatcher, Actor(ADA, subscriber.connection_id), subscriber, catch_up)
    )
    await gate.reached()

    for content in ("two", "three"):
        await chat.execute(Actor(BOB), personal(ADA, content))
    assert writer.frames == []
    gate.release()
    await answering
    await chat.execute(Actor(BOB), personal(ADA, "four"))

    (kind, answer), *events = packets(writer)
    assert kind == "43"
    answered = [each["content"] for each in answer["conversations"][0]["messages"]]
    broadcast_contents = [payload["content"] for _, (_, payload) in events]
    assert answered + broadcast_contents == ["one", "two", "three", "four"]
    assert len(answered) == (3 if is_in_the_answer else 1)
    assert subscriber.write_directly is not None


async def _run(
    dispatcher: CommandDispatcher, actor: Actor, subscriber: Subscriber, event: CommandEvent
) -> object:
    return await dispatcher.dispatch(actor, subscriber, event)
