"""Runs scenarios on real servers with reproducible time and identifiers."""

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

Transports = Literal["as drawn", "polling", "websocket", "upgrade"]
"""The transports of the clients: the scenario's; one for all of them; or polling, with the upgrades
that are in the scenario."""


@attrs.frozen
class Path:
    """A code path through the server."""

    websockets: type[asyncio.Protocol] | str
    runs_outside_tasks: bool


ASGI = Path("websockets-sansio", runs_outside_tasks=False)
TAKEOVER = Path(TakeoverProtocol, runs_outside_tasks=True)
TAKEOVER_IN_TASKS = Path(TakeoverProtocol, runs_outside_tasks=False)


SYSTEM_BUFFER_BYTES = 131_072
"""Small enough that a server soon has to wait for clients that do not read."""

ALL_AT_ONCE = 2**30
"""A batch size that no user's missed messages exceed."""


class ScenarioServer:
    """A server that serves one chat after another, because starting a server is slow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base_url = ""
        self.app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class ScenarioServers:
    """A server for each path, on one event loop."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._dispatcher = asyncio.Runner(loop_factory=loop_factory)
        self._servers: dict[Path, ScenarioServer] = {}
        self._closing = AsyncExitStack()

    def open(self, paths: Sequence[Path]) -> None:
        self._dispatcher.run(self._open(paths))

    async def _open(self, paths: Sequence[Path]) -> None:
        for path in paths:
            server = self._servers[path] = ScenarioServer(path)
            running = serving(
                server,
                path.websockets,
                system_buffer_bytes=SYSTEM_BUFFER_BYTES,
                lifespan="off",
                ws_ping_interval=None,
            )
            server.base_url = await self._closing.enter_async_context(running)

    def run(
        self,
        scenario: Scenario,
        path: Path,
        transports: Transports,
        push_batch_bytes: int = ALL_AT_ONCE,
    ) -> Sequence[Sequence[str]]:
        """Return what each client received, in the order in which they connected.

        By default, missed messages are pushed in one batch: the positions of several batches among
        the replies depend on when the system's buffers have room.
        """
        return self._dispatcher.run(
            ScenarioRun(self._servers[path], scenario, transports, push_batch_bytes).run()
        )

    def close(self) -> None:
        self._dispatcher.run(self._closing.aclose())
        self._dispatcher.close()


class PausableDeliveries:
    """The store's deliveries, which can pause a read of missed messages.

    They record nothing: when a client confirms depends on timing, and would differ between paths.
    """

    def __init__(self, deliveries: DeliveryLog) -> None:
        self._deliveries = deliveries
        self.when: scenarios.OpeningMoment | None = None
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def undelivered(self, user_id: UserId, limit: int) -> Sequence[Message]:
        await self._wait_at("before the read")
        undelivered = await self._deliveries.undelivered(user_id, limit)
        await self._wait_at("after the read")
        return undelivered

    async def still_undelivered(self, messages: Sequence[Message]) -> Sequence[Message]:
        return await self._deliveries.still_undelivered(messages)

    def delivered(self, *_delivery: object) -> None:
        pass

    async def _wait_at(self, moment: scenarios.OpeningMoment) -> None:
        if self.when == moment:
            self.reached.set()
            await self.released.wait()


class ScenarioRun:
    """A run of one scenario on one server."""

    def __init__(
        self,
        server: ScenarioServer,
        scenario: Scenario,
        transports: Transports,
        push_batch_bytes: int,
    ) -> None:
        self._server = server
        self._scenario = scenario
        self._transports = transports
        self._limits = Limits(rates={}, max_push_batch_bytes=push_batch_bytes)
        self._clock = ManualClock()
        self._deliveries: PausableDeliveries
        self._composition = self._compose()
        self._clients: list[FrameClient] = []
        self._users: list[str] = []

    def _compose(self) -> Composition:
        async def turn(_call: str) -> None:
            await asyncio.sleep(0)

        store = memory_store()
        store.epoch = EPOCH
        store.deliveries = self._deliveries = PausableDeliveries(store.deliveries)  # type: ignore[assignment]
        if self._scenario.store_waits:
            store.messages = HookedMessages(store.messages, turn, nothing)  # type: ignore[assignment]
            store.capabilities = attrs.evolve(store.capabilities, append=None)
        hub = Hub(SOCKETIO_ENCODING)
        verifier = CustomVerifier(lambda token: token if token in USERS else None, self._clock)
        chat = Chat(store, hub, verifier, self._clock, numbered_message_ids(), self._limits)
        options = Options(
            max_frame_bytes=MAX_REQUEST_BYTES,
            ping_interval_seconds=3600,
            ping_timeout_seconds=20,
            connect_timeout_seconds=20,
            max_unread_bytes=2**30,
            # Whether typing events are dropped depends on when a client polls: here, never.
            ephemeral_unread_bytes=2**30,
            runs_outside_tasks=self._server.path.runs_outside_tasks,
        )
        numbers = count(1)
        new_id = lambda: f"id-{next(numbers):06}"  # noqa: E731
        socketio_server = SocketIOServer(chat, hub, verifier, options, new_id=new_id)
        return Composition(chat, socketio_server, store)

    async def run(self) -> Sequence[Sequence[str]]:
        """Run the steps; then let each client read what it has not read."""
        self._server.app = application(self._composition)
        await self._composition.start()
        for user in USERS:
            await self._composition.chat.execute(Actor(UserId(user)), JoinRoom(RoomId(LOBBY)))
        try:
            for step in self._scenario.steps:
                await self._step(step)
            for client in self._clients:
                await self._settle(client, [])
        finally:
            await self._composition.stop()
            for client in self._clients:
                await client.release()
        return [client.received for client in self._clients]

    async def _step(self, step: scenarios.Step) -> None:
        match step:
            case scenarios.Connect():
                await self._connect(step)
            case scenarios.Send():
                await self._send(step)
            case scenarios.Wait(seconds):
                self._clock.advance(timedelta(seconds=seconds))
            case scenarios.Upgrade():
                await self._upgrade(step)
            case _ if (client := self._client(step.client)) is not None:
                await self._act(client, step)

    async def _act(
        self,
        client: FrameClient,
        step: scenarios.Reconnect | scenarios.Ping | scenarios.EndConnection | scenarios.Disconnect,
    ) -> None:
        match step:
            case scenarios.Reconnect():
                await self._settle(client, ["41", _connect_packet(self._user_of(client))])
            case scenarios.Ping():
                # Everything else first: a pong may overtake what the client has not read.
                await self._settle(client, [])
                client.ping()
                await self._settle(client, [])
            case scenarios.EndConnection():
                await self._settle(client, [])
                await client.send_last(step.packets(client))
                await self._until_session_ended(client)
            case scenarios.Disconnect(_, is_clean):
                await self._settle(client, [])
                if is_clean or client.websocket is None:
                    await client.close()
                else:
                    await client.release()
                await self._until_session_ended(client)

    async def _connect(self, step: scenarios.Connect) -> None:
        transport = step.transport
        if self._transports != "as drawn":
            transport = "polling" if self._transports == "upgrade" else self._transports
        client = await FrameClient.open(self._server.base_url, transport, step.has_small_buffer)
        self._clients.append(client)
        self._users.append(step.user)
        if step.is_rejected_first:
            events = [event for event in step.events if not event.is_binary]
            ignored = _packets(events, client)[: MAX_IGNORED_PACKETS // 2]
            await client.send_until([_connect_packet("nobody"), *ignored], "44")
        first = [_connect_packet(step.user), *_packets(step.events, client)]
        if step.meanwhile is None:
            await self._settle(client, first)
        else:
            await self._open_slowly(client, first, step.meanwhile, step.moment)

    async def _open_slowly(
        self,
        client: FrameClient,
        first: Sequence[Packet],
        meanwhile: scenarios.Send,
        moment: scenarios.OpeningMoment,
    ) -> None:
        """Let another user send events while a connection opens."""
        deliveries = self._deliveries
        deliveries.when = moment
        opening = asyncio.create_task(self._settle(client, first))
        await deliveries.reached.wait()
        deliveries.when = None
        other = self._client(meanwhile.client)
        if other is not None and self._user_of(other) != self._user_of(client):
            await self._send(meanwhile)
        deliveries.released.set()
        await opening
        deliveries.reached.clear()
        deliveries.released.clear()

    def _user_of(self, client: FrameClient) -> str:
        return self._users[self._clients.index(client)]

    async def _send(self, step: scenarios.Send) -> None:
        client = self._client(step.client)
        if client is not None:
            await self._settle(client, _packets(step.events, client), step.pieces)

    async def _upgrade(self, step: scenarios.Upgrade) -> None:
        client = self._client(step.client)

        async def send_meanwhile() -> None:
            if self._client(step.meanwhile.client) is not client:
                await self._send(step.meanwhile)

        if client is None or client.websocket is not None or self._transports == "polling":
            await send_meanwhile()
            if client is not None and not step.fails:
                await self._settle(client, _packets(step.events, client))
        elif step.fails:
            await client.fail_to_upgrade(send_meanwhile, step.moment)
            session = self._composition.server.context.sessions[client.sid]
            await _until(lambda: session.state is not State.UPGRADING)
        else:
            await client.upgrade(send_meanwhile, step.moment, _packets(step.events, client))

    def _client(self, number: int) -> FrameClient | None:
        """Return one of the connected clients."""
        there = [client for client in self._clients if not client.is_at_end]
        return there[number % len(there)] if there else None

    async def _settle(
        self, client: FrameClient, packets: Sequence[Packet], pieces: int = 1
    ) -> None:
        if not client.is_at_end:
            await client.send_and_settle(packets, pieces)

    async def _until_session_ended(self, client: FrameClient) -> None:
        socketio_server = self._composition.server
        await _until(lambda: client.sid not in socketio_server.context.sessions)


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not met():
            await asyncio.sleep(0)


def _connect_packet(user: str) -> str:
    return f'40{{"token":"{user}"}}'


def _packets(events: Sequence[Event], client: FrameClient) -> list[Packet]:
    return [packet for event in events for packet in event.packets(client)]
