"""Whatever clients send, the server goes on, logs no fault, keeps nothing, and disturbs nobody.

FUZZ_EXAMPLES says how many examples are played on each path (`make fuzz` plays thousands).
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
from tests.e2e.hostile import Client, clients, play
from tests.e2e.raw_client import RawWebSocket, raw_websocket
from tests.e2e.serving import serving_in_a_thread
from tests.tokens import SECRET

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
LOGGERS = ["", "uvicorn.error", "uvicorn.access", "uvicorn"]

SETTINGS = Settings(
    secret_key=SECRET,
    # All come from one address and are one user; and the good talk fast.
    handshakes_per_address=0,
    connections_per_user=0,
    rate_send_per_user=0,
    rate_send_per_connection=0,
    connect_timeout_seconds=2,
    ping_interval_seconds=2,
    ping_timeout_seconds=4,
)


class Faults(logging.Handler):
    """Keeps what nobody should have to read in a log."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.found.append(self.format(record))


@attrs.define
class Stage:
    """A server, two who talk in its lobby, and what goes wrong."""

    url: str
    composition: Composition
    ada: RawWebSocket
    bob: RawWebSocket
    faults: Faults
    numbers: Iterator[int] = attrs.field(factory=count)

    def talk(self) -> None:
        """Ada says some things; Bob gets each once, in order, and nothing twice."""
        said = [f"good-{next(self.numbers)}" for _ in range(3)]
        for content in said:
            post = json.dumps(["send_group_message", {"room_id": "lobby", "content": content}])
            assert self.ada.ask(post)["ok"]
        heard: list[str] = []
        while len(heard) < len(said):
            name, message = event(self.bob)
            if name == "receive_group_message" and message["from_user_id"] == "ada":
                heard.append(message["content"])
        assert heard == said

    def is_calm(self) -> bool:
        """Whether nothing is left but what the two need."""
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
    """The next event that a connection gets."""
    while not (frame := str(connection.receive())).startswith("42"):
        pass
    name, payload = json.loads(frame[2:])
    return name, payload


@pytest.fixture(
    scope="module", params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"]
)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
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
            yield Stage(url, composition, ada, bob, faults)
    for name in LOGGERS:
        logging.getLogger(name).removeHandler(faults)


@given(crowd=st.lists(clients, min_size=1, max_size=4))
@settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_arbitrary_traffic_does_not_affect_other_clients(stage: Stage, crowd: list[Client]) -> None:
    async def attack() -> None:
        await asyncio.gather(*(play(stage.url, client) for client in crowd))

    asyncio.run(attack())
    stage.talk()

    assert stage.faults.found == []


def test_closed_clients_leave_no_state(stage: Stage) -> None:
    deadline = time.monotonic() + 60
    while not stage.is_calm() and time.monotonic() < deadline:
        stage.talk()

    assert stage.is_calm()
    assert stage.faults.found == []
