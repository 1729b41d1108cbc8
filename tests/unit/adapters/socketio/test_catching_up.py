"""A client that catches up while the conversation goes on."""

import asyncio
import json
from typing import Any

import pytest

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.subscriber import Outlet
from socketio_app.adapters.socketio.dispatcher import CommandRunner
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.socketio.events import CommandEvent
from socketio_app.adapters.socketio.refusal_log import RefusalLog
from socketio_app.adapters.websocket.frames import contents
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor
from socketio_app.application.limits import Rules
from socketio_app.application.ports import Identity
from socketio_app.domain.identifiers import ConnectionId
from tests.builders import ADA, BOB, personal
from tests.chat_harness import numbered_message_ids
from tests.clocks import ManualClock
from tests.fake_writer import KeptWay
from tests.stores import Gate, HookedStore, nothing

pytestmark = pytest.mark.anyio


def packets(way: KeptWay) -> list[tuple[str, Any]]:
    texts = [contents(frame)[1] for frame in way.frames]
    found = [(text[:2].decode(), json.loads(text[text.index(b"[") :])) for text in texts]
    return [(kind, each[0] if kind == "43" else each) for kind, each in found]


@pytest.mark.parametrize("is_in_the_answer", [True, False])
async def test_what_is_broadcast_meanwhile_comes_after_the_answer_unless_it_has_it(
    is_in_the_answer: bool,
) -> None:
    gate, clock, hub, way = Gate(), ManualClock(), Hub(SOCKETIO_ENCODING), KeptWay()
    hooks = (gate, nothing) if is_in_the_answer else (nothing, gate)
    store = HookedStore(*hooks)
    verifier = CustomVerifier(lambda _token: None, clock)
    rules = Rules(rates={}, refusals=None)
    chat = Chat(store, hub, verifier, clock, numbered_message_ids(), rules)
    chat.open()
    outlet = Outlet(ConnectionId("1"), ADA, way, SOCKETIO_ENCODING)
    outlet.set_direct(way)
    hub.attach(outlet)
    opening = await chat.sessions.prepare(Identity(ADA, None), outlet.connection_id)
    outlet.release(opening)
    chat.sessions.open(opening)
    await chat.execute(Actor(BOB), personal(ADA, "one"))
    way.frames.clear()
    gate.hold_next("newest")
    catch_up = CommandEvent(1, "catch_up", [{"epoch": store.epoch, "positions": []}])
    runner = CommandRunner(chat, RefusalLog())
    answering = asyncio.create_task(
        _run(runner, Actor(ADA, outlet.connection_id), outlet, catch_up)
    )
    await gate.reached()

    for content in ("two", "three"):
        await chat.execute(Actor(BOB), personal(ADA, content))
    assert way.frames == []
    gate.let_go()
    await answering
    await chat.execute(Actor(BOB), personal(ADA, "four"))

    (kind, answer), *events = packets(way)
    assert kind == "43"
    answered = [each["content"] for each in answer["conversations"][0]["messages"]]
    heard = [payload["content"] for _, (_, payload) in events]
    assert answered + heard == ["one", "two", "three", "four"]
    assert len(answered) == (3 if is_in_the_answer else 1)
    assert outlet.direct is not None


async def _run(runner: CommandRunner, actor: Actor, outlet: Outlet, event: CommandEvent) -> object:
    return await runner.run(actor, outlet, event)
