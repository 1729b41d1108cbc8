"""The scenarios. Each takes a crowd that is connected, and returns its figures.

A delivery is one `receive_*` event that reaches one client. `cpu_us` is the CPU time of the server,
all its processes, for one delivery: it depends far less on a noisy machine than how much the server
gets done in a second.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle

from benchmarks.figures import percentile
from benchmarks.load.attacking import attacking
from benchmarks.load.client import SENT_AT, Client
from benchmarks.load.crowd import Crowd
from benchmarks.load.flooder import flooding
from benchmarks.load.options import Load
from benchmarks.load.process import ServerProcess

ROOM = "benchmark"

Scenario = Callable[[Crowd, Load, ServerProcess], Awaitable[dict[str, float]]]


async def prepare(crowd: Crowd, load: Load) -> None:
    """Do what a scenario needs before its clients connect.

    The number of deliveries that announce all joins of a room grows with the square of its size. So
    the members of a `large` room connect briefly to join, and disconnect before the next ones
    connect. This is for servers that store memberships.
    """
    if load.scenario == large.__name__:
        await crowd.join_in_turn(ROOM, load.clients)


async def fanout(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """One room; each sender has `window` messages in flight at any time."""
    await crowd.join(ROOM)
    return await _fanout(crowd, load, server)


async def large(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """As `fanout`, in a room of thousands that all have joined before: see `prepare`."""
    return await _fanout(crowd, load, server)


async def fanout_received(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """As `fanout`, for servers that do not report delivery.

    The senders, in turn, send the next message when the last client has received one.
    """
    await crowd.join(ROOM)
    witness, senders = crowd.clients[-1], crowd.clients[: load.senders]
    turns, post = cycle(senders), _post_to_room(senders, load)

    def post_next(recipient: Client) -> None:
        if recipient is witness:
            post(next(turns))

    crowd.tally.when_received = post_next
    figures = await _measured(crowd, load, server, senders, post)
    crowd.tally.when_received = None
    return figures


async def direct(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """Every user sends to the next one, with `window` messages in flight at any time.

    The sender sends the next message when one was received, because servers differ in when they
    report delivery.
    """
    content = "x" * load.size
    neighbours = [*crowd.clients[1:], crowd.clients[0]]
    packets = {
        client: client.command(
            "send_personal_message", to_user_id=neighbour.user_id, content=content
        )
        for client, neighbour in zip(crowd.clients, neighbours, strict=True)
    }
    senders = dict(zip(neighbours, crowd.clients, strict=True))

    def post(client: Client) -> None:
        client.send(packets[client])

    crowd.tally.when_received = lambda recipient: post(senders[recipient])
    figures = await _measured(crowd, load, server, crowd.clients, post)
    crowd.tally.when_received = None
    return figures


async def quiet(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """Every user sends to the next one occasionally: `rate` messages a second in total.

    With fewer messages a second than clients, each delivery has its own ping and pong.
    """
    await _write_in_turn(crowd, load.rate, load.warm_up)
    cpu, deliveries = server.cpu_seconds(), crowd.tally.deliveries
    await _write_in_turn(crowd, load.rate, load.seconds)
    deliveries = crowd.tally.deliveries - deliveries
    return {"cpu_us": (server.cpu_seconds() - cpu) / deliveries * 1e6}


async def latency(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """One room; another user sends every 1/`rate` seconds, independently of earlier messages."""
    await crowd.join(ROOM)
    await _speak(crowd, load.rate, load.warm_up)
    cpu, deliveries = server.cpu_seconds(), crowd.tally.deliveries
    latencies = await _speak(crowd, load.rate, load.seconds)
    deliveries = crowd.tally.deliveries - deliveries
    return {
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
        "cpu_us": (server.cpu_seconds() - cpu) / deliveries * 1e6,
    }


async def flood(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """As `latency`, and then the same while one connection sends as much as the server accepts."""
    await crowd.join(ROOM)
    await _speak(crowd, load.rate, load.warm_up)
    alone = await _speak(crowd, load.rate, load.seconds)
    async with flooding(crowd) as flooder:
        await _speak(crowd, load.rate, load.warm_up)
        answered, began = flooder.answered, time.perf_counter()
        flooded = await _speak(crowd, load.rate, load.seconds)
        answered, seconds = flooder.answered - answered, time.perf_counter() - began
    p99_alone, p99_flooded = percentile(alone, 0.99), percentile(flooded, 0.99)
    return {
        "p99_alone_ms": p99_alone,
        "p99_flooded_ms": p99_flooded,
        "p99_growth": p99_flooded / p99_alone,
        "flood_per_s": answered / seconds,
    }


async def hostile(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """As `latency`, and then the same while a client attacks the server."""
    await crowd.join(ROOM)
    await _speak(crowd, load.rate, load.warm_up)
    alone = await _speak(crowd, load.rate, load.seconds)
    async with attacking(load.attack, load.attackers, crowd.port):
        await _speak(crowd, load.rate, load.warm_up)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        attacked = await _speak(crowd, load.rate, load.seconds)
        cpu, seconds = server.cpu_seconds() - cpu, time.perf_counter() - began
    p99_alone, p99_attacked = percentile(alone, 0.99), percentile(attacked, 0.99)
    return {
        "p99_alone_ms": p99_alone,
        "p99_attacked_ms": p99_attacked,
        "p99_growth": p99_attacked / p99_alone,
        "cpu_percent": cpu / seconds * 100,
    }


async def idle(_crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    """No messages; the server pings the clients."""
    await asyncio.sleep(load.warm_up)
    grown, cpu, began = server.grown_bytes(), server.cpu_seconds(), time.perf_counter()
    await asyncio.sleep(load.seconds)
    return {
        "kib_per_connection": grown / load.clients / 1024,
        "cpu_percent": (server.cpu_seconds() - cpu) / (time.perf_counter() - began) * 100,
    }


SCENARIOS: Mapping[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (fanout, fanout_received, large, direct, quiet, latency, flood, hostile, idle)
}


async def _fanout(crowd: Crowd, load: Load, server: ServerProcess) -> dict[str, float]:
    senders = crowd.clients[: load.senders]
    return await _closed_loop(crowd, load, server, senders, _post_to_room(senders, load))


def _post_to_room(senders: Sequence[Client], load: Load) -> Callable[[Client], None]:
    """Return a function that lets one of the senders send a message to the room."""
    content = "x" * load.size
    packets = {
        client: client.command("send_group_message", room_id=ROOM, content=content)
        for client in senders
    }

    def post(client: Client) -> None:
        client.send(packets[client])

    return post


async def _closed_loop(
    crowd: Crowd,
    load: Load,
    server: ServerProcess,
    senders: Sequence[Client],
    post: Callable[[Client], None],
) -> dict[str, float]:
    """Let the sender of a delivered message send the next one."""
    crowd.tally.when_delivered = post
    figures = await _measured(crowd, load, server, senders, post)
    crowd.tally.when_delivered = None
    return figures


async def _measured(
    crowd: Crowd,
    load: Load,
    server: ServerProcess,
    senders: Sequence[Client],
    post: Callable[[Client], None],
) -> dict[str, float]:
    """Measure, starting when each sender has sent its first messages."""
    for client in senders:
        for _ in range(load.window):
            post(client)
    await asyncio.sleep(load.warm_up)
    deliveries, cpu, began = crowd.tally.deliveries, server.cpu_seconds(), time.perf_counter()
    await asyncio.sleep(load.seconds)
    deliveries, cpu = crowd.tally.deliveries - deliveries, server.cpu_seconds() - cpu
    seconds = time.perf_counter() - began
    return {
        "cpu_us": cpu / deliveries * 1e6,
        "deliveries_per_s": deliveries / seconds,
        "cpu_percent": cpu / seconds * 100,
    }


async def _write_in_turn(crowd: Crowd, rate: float, seconds: float) -> None:
    began, clients = time.perf_counter(), crowd.clients
    for number in range(round(rate * seconds)):
        await asyncio.sleep(began + number / rate - time.perf_counter())
        neighbour = clients[(number + 1) % len(clients)].user_id
        sender = clients[number % len(clients)]
        sender.emit("send_personal_message", to_user_id=neighbour, content="hello")


async def _speak(crowd: Crowd, rate: float, seconds: float) -> Sequence[float]:
    """Send at a rate for some time; return the latencies in ms once all messages have arrived."""
    arrivals = crowd.tally.arrivals = []
    began = time.perf_counter()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(began + number / rate - time.perf_counter())
        sender = crowd.clients[number % len(crowd.clients)]
        content = f"{SENT_AT.decode()}{time.perf_counter_ns()}#"
        sender.emit("send_group_message", room_id=ROOM, content=content)
    expected = round(rate * seconds) * (len(crowd.clients) - 1)
    while len(arrivals) < expected:  # noqa: ASYNC110  (an event would cost each delivery)
        await asyncio.sleep(0.01)
    crowd.tally.arrivals = None
    return [(arrived - _sent_at(frame)) / 1e6 for arrived, frame in arrivals]


def _sent_at(frame: bytes) -> int:
    """Return when a message was sent, which its content says."""
    return int(frame.partition(SENT_AT)[2].partition(b"#")[0])
