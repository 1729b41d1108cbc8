"""Plays scenarios on real servers, whose time and identifiers are the same each time."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Literal

import attrs
from starlette.types import ASGIApp, Receive, Scope, Send

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.engineio.options import Options
from socketio_app.adapters.engineio.state import State
from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING
from socketio_app.adapters.socketio.server import SocketIOServer
from socketio_app.adapters.socketio.session import MAX_IGNORED_PACKETS
from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, JoinRoom
from socketio_app.application.limits import Limits
from socketio_app.application.ports import DeliveryLog
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.messaging import Message
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition
from tests.chat_harness import numbered_message_ids
from tests.clocks import ManualClock
from tests.e2e import scenarios
from tests.e2e.frame_client import (
    MAX_REQUEST_BYTES,
    PATIENCE_SECONDS,
    FrameClient,
    Packet,
)
from tests.e2e.scenarios import EPOCH, LOBBY, USERS, Event, Scenario
from tests.e2e.serving import serving
from tests.stores import HookedMessages, memory_store, nothing

Over = Literal["as they come", "polling", "websocket", "upgrade"]
"""The transports of all clients, whatever the scenario has: its own; or the one for all; or polling
first, and the upgrades that are in the scenario."""


@attrs.frozen
class Path:
    """A way through the server."""

    websockets: type[asyncio.Protocol] | str
    runs_outside_tasks: bool


PLAIN = Path("websockets-sansio", runs_outside_tasks=False)
FAST = Path(TakeoverProtocol, runs_outside_tasks=True)
FAST_IN_TASKS = Path(TakeoverProtocol, runs_outside_tasks=False)


SYSTEM_BUFFER_BYTES = 131_072
"""Little enough that a server soon has to wait for clients that do not read."""

ALL_AT_ONCE = 2**30
"""A size of batches that holds whatever a user has missed."""


class Stage:
    """A server, with one chat after the other on it: for a new one each it would start too long."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base_url = ""
        self.app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Theatre:
    """Servers of every path, on one event loop."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._dispatcher = asyncio.Runner(loop_factory=loop_factory)
        self._stages: dict[Path, Stage] = {}
        self._closing = AsyncExitStack()

    def open(self, paths: Sequence[Path]) -> None:
        self._dispatcher.run(self._open(paths))

    async def _open(self, paths: Sequence[Path]) -> None:
        for path in paths:
            stage = self._stages[path] = Stage(path)
            server = serving(
                stage,
                path.websockets,
                system_buffer_bytes=SYSTEM_BUFFER_BYTES,
                lifespan="off",
                ws_ping_interval=None,
            )
            stage.base_url = await self._closing.enter_async_context(server)

    def play(
        self, scenario: Scenario, path: Path, over: Over, push_batch_bytes: int = ALL_AT_ONCE
    ) -> Sequence[Sequence[str]]:
        """What each client got, in the order in which they came.

        Missed messages are pushed at once: in batches, their place among the answers depends on
        when the system's buffers have room.
        """
        return self._dispatcher.run(
            Play(self._stages[path], scenario, over, push_batch_bytes).run()
        )

    def close(self) -> None:
        self._dispatcher.run(self._closing.aclose())
        self._dispatcher.close()


class HeldUp:
    """The store's deliveries; who reads what they have missed may be held up there.

    None is ever noted: when a client confirms is a matter of time, and would differ between paths.
    """

    def __init__(self, deliveries: DeliveryLog) -> None:
        self._deliveries = deliveries
        self.when: scenarios.OpeningMoment | None = None
        self.is_there = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        await self._wait_at("before the read")
        undelivered = await self._deliveries.undelivered(user_id, limit)
        await self._wait_at("after the read")
        return undelivered

    def delivered(self, *_delivery: object) -> None:
        pass

    async def _wait_at(self, moment: scenarios.OpeningMoment) -> None:
        if self.when == moment:
            self.is_there.set()
            await self.may_go_on.wait()


class Play:
    """One scenario on one server."""

    def __init__(self, stage: Stage, scenario: Scenario, over: Over, push_batch_bytes: int) -> None:
        self._stage = stage
        self._scenario = scenario
        self._over = over
        self._limits = Limits(rates={}, max_push_batch_bytes=push_batch_bytes)
        self._clock = ManualClock()
        self._held_up: HeldUp
        self._composition = self._compose()
        self._clients: list[FrameClient] = []
        self._users: list[str] = []

    def _compose(self) -> Composition:
        async def turn(_call: str) -> None:
            await asyncio.sleep(0)

        store = memory_store()
        store.epoch = EPOCH
        store.deliveries = self._held_up = HeldUp(store.deliveries)  # type: ignore[assignment]
        if self._scenario.store_waits:
            store.messages = HookedMessages(store.messages, turn, nothing)  # type: ignore[assignment]
        hub = Hub(SOCKETIO_ENCODING)
        verifier = CustomVerifier(lambda token: token if token in USERS else None, self._clock)
        chat = Chat(store, hub, verifier, self._clock, numbered_message_ids(), self._limits)
        options = Options(
            max_frame_bytes=MAX_REQUEST_BYTES,
            ping_interval_seconds=3600,
            max_unread_bytes=2**30,
            # Whether typing is dropped depends on when a client polls, so here it never is.
            ephemeral_unread_bytes=2**30,
            runs_outside_tasks=self._stage.path.runs_outside_tasks,
        )
        numbers = count(1)
        new_id = lambda: f"id-{next(numbers):06}"  # noqa: E731
        server = SocketIOServer(chat, hub, verifier, options, new_id=new_id)
        return Composition(chat, server, store)

    async def run(self) -> Sequence[Sequence[str]]:
        """Play it; then each client reads what waits for it."""
        self._stage.app = application(self._composition)
        await self._composition.start()
        for user in USERS:
            await self._composition.chat.execute(Actor(UserId(user)), JoinRoom(RoomId(LOBBY)))
        try:
            for step in self._scenario.steps:
                await self._do(step)
            for client in self._clients:
                await self._say(client, [])
        finally:
            await self._composition.stop()
            for client in self._clients:
                await client.release()
        return [client.received for client in self._clients]

    async def _do(self, step: scenarios.Step) -> None:
        match step:
            case scenarios.Come():
                await self._come(step)
            case scenarios.Say():
                await self._say_something(step)
            case scenarios.Wait(seconds):
                self._clock.advance(timedelta(seconds=seconds))
            case scenarios.Upgrade():
                await self._upgrade(step)
            case _ if (client := self._client(step.client)) is not None:
                await self._do_alone(client, step)

    async def _do_alone(
        self,
        client: FrameClient,
        step: scenarios.ComeAgain | scenarios.Ping | scenarios.End | scenarios.Go,
    ) -> None:
        match step:
            case scenarios.ComeAgain():
                await self._say(client, ["41", _connect(self._user_of(client))])
            case scenarios.Ping():
                # All there is first: a pong may overtake what waits for the client to read.
                await self._say(client, [])
                client.ping()
                await self._say(client, [])
            case scenarios.End():
                await self._say(client, [])
                await client.send_last(step.packets(client))
                await self._until_gone(client)
            case scenarios.Go(_, is_polite):
                await self._say(client, [])
                if is_polite or client.websocket is None:
                    await client.close()
                else:
                    await client.release()
                await self._until_gone(client)

    async def _come(self, step: scenarios.Come) -> None:
        transport = step.transport
        if self._over != "as they come":
            transport = "polling" if self._over == "upgrade" else self._over
        client = await FrameClient.open(self._stage.base_url, transport, step.has_small_buffer)
        self._clients.append(client)
        self._users.append(step.user)
        if step.is_refused_first:
            events = [event for event in step.events if not event.is_binary]
            ignored = _packets(events, client)[: MAX_IGNORED_PACKETS // 2]
            await client.send_until([_connect("nobody"), *ignored], "44")
        first = [_connect(step.user), *_packets(step.events, client)]
        if step.meanwhile is None:
            await self._say(client, first)
        else:
            await self._open_slowly(client, first, step.meanwhile, step.moment)

    async def _open_slowly(
        self,
        client: FrameClient,
        first: Sequence[Packet],
        meanwhile: scenarios.Say,
        moment: scenarios.OpeningMoment,
    ) -> None:
        """Let another user say something while a connection opens."""
        held_up = self._held_up
        held_up.when = moment
        opening = asyncio.create_task(self._say(client, first))
        await held_up.is_there.wait()
        held_up.when = None
        other = self._client(meanwhile.client)
        if other is not None and self._user_of(other) != self._user_of(client):
            await self._say_something(meanwhile)
        held_up.may_go_on.set()
        await opening
        held_up.is_there.clear()
        held_up.may_go_on.clear()

    def _user_of(self, client: FrameClient) -> str:
        return self._users[self._clients.index(client)]

    async def _say_something(self, step: scenarios.Say) -> None:
        client = self._client(step.client)
        if client is not None:
            await self._say(client, _packets(step.events, client), step.pieces)

    async def _upgrade(self, step: scenarios.Upgrade) -> None:
        client = self._client(step.client)

        async def say_meanwhile() -> None:
            if self._client(step.meanwhile.client) is not client:
                await self._say_something(step.meanwhile)

        if client is None or client.websocket is not None or self._over == "polling":
            await say_meanwhile()
            if client is not None and not step.fails:
                await self._say(client, _packets(step.events, client))
        elif step.fails:
            await client.fail_to_upgrade(say_meanwhile, step.moment)
            session = self._composition.server.context.sessions[client.sid]
            await _until(lambda: session.state is not State.UPGRADING)
        else:
            await client.upgrade(say_meanwhile, step.moment, _packets(step.events, client))

    def _client(self, number: int) -> FrameClient | None:
        """One of those who are connected."""
        there = [client for client in self._clients if not client.is_at_end]
        return there[number % len(there)] if there else None

    async def _say(self, client: FrameClient, packets: Sequence[Packet], pieces: int = 1) -> None:
        if not client.is_at_end:
            await client.send_and_settle(packets, pieces)

    async def _until_gone(self, client: FrameClient) -> None:
        server = self._composition.server
        await _until(lambda: client.sid not in server.context.sessions)


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not met():
            await asyncio.sleep(0)


def _connect(user: str) -> str:
    return f'40{{"token":"{user}"}}'


def _packets(events: Sequence[Event], client: FrameClient) -> list[Packet]:
    return [packet for event in events for packet in event.packets(client)]
