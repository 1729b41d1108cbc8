"""Arbitrary traffic causes no errors, leaves no state and does not affect other clients.

`FUZZ_EXAMPLES` is the number of examples on each path (`make fuzz` runs thousands).
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from itertools import count

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.hostile import Client, clients, run
from tests.e2e.raw_client import RawWebSocket, raw_websocket
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
LOGGERS = ["", "uvicorn.error", "uvicorn.access", "uvicorn"]

SETTINGS = Settings(
    secret_key=SECRET,
    # All connections have one address and one user, and the well-behaved clients send fast.
    handshakes_per_address=0,
    connections_per_user=0,
    rate_send_per_user=0,
    rate_send_per_connection=0,
    connect_timeout_seconds=2,
    ping_interval_seconds=2,
    ping_timeout_seconds=4,
)


class Faults(logging.Handler):
    """Collects log records that report a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.found.append(self.format(record))


@attrs.define
class FuzzTarget:
    """A server, two clients that talk in its lobby, and the faults in its log."""

    url: str
    composition: Composition
    ada: RawWebSocket
    bob: RawWebSocket
    faults: Faults
    numbers: Iterator[int] = attrs.field(factory=count)

    def talk(self) -> None:
        """Let Ada send messages; check that Bob receives each exactly once, in order."""
        sent = [f"good-{next(self.numbers)}" for _ in range(3)]
        for content in sent:
            post = json.dumps(["send_group_message", {"room_id": "lobby", "content": content}])
            assert self.ada.ask(post)["ok"]
        received: list[str] = []
        while len(received) < len(sent):
            name, message = event(self.bob)
            if name == "receive_group_message" and message["from_user_id"] == "ada":
                received.append(message["content"])
        assert received == sent

    def has_only_two_clients(self) -> bool:
        """Return whether no state is left except for the two clients."""
        server, chat = self.composition.server, self.composition.chat
        counts = {
            len(server.context.sessions),
            len(server._services.registry.hub._subscribers),
            chat.connection_count,
            len(chat.sessions._tokens._tokens),
            sum(map(len, server.context.heartbeat._slots)),
        }
        rest = [
            server.context.connect_timeout._deadlines,
            chat._connections._opening,
        ]
        return counts == {2} and not any(rest)


def event(connection: RawWebSocket) -> tuple[str, dict[str, str]]:
    """Return the next event that a connection receives."""
    while not (frame := str(connection.receive())).startswith("42"):
        pass
    name, payload = json.loads(frame[2:])
    return name, payload


@pytest.fixture(
    scope="module", params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"]
)
def target(request: pytest.FixtureRequest) -> Iterator[FuzzTarget]:
    faults = Faults()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(faults)
    composition = compose(SETTINGS)
    with serving_in_a_thread(application(composition), request.param) as url:
        with (
            raw_websocket(url, "ada") as ada,
            raw_websocket(url, "bob") as bob,
            ada.reading(),
            bob.reading(),
        ):
            for member in (ada, bob):
                assert member.ask('["join_room",{"room_id":"lobby"}]')["ok"]
            yield FuzzTarget(url, composition, ada, bob, faults)
    for name in LOGGERS:
        logging.getLogger(name).removeHandler(faults)


@given(crowd=st.lists(clients, min_size=1, max_size=4))
@settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_arbitrary_traffic_does_not_affect_other_clients(
    target: FuzzTarget, crowd: list[Client]
) -> None:
    async def attack() -> None:
        await asyncio.gather(*(run(target.url, client) for client in crowd))

    asyncio.run(attack())
    target.talk()

    assert target.faults.found == []


def test_closed_clients_leave_no_state(target: FuzzTarget) -> None:
    deadline = time.monotonic() + 60
    while not target.has_only_two_clients() and time.monotonic() < deadline:
        target.talk()

    assert target.has_only_two_clients()
    assert target.faults.found == []
