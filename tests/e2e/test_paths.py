"""A client receives the same over each transport, taken over from uvicorn or served as ASGI."""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings

from socketio_app.application.limits import Limits
from tests.e2e.frame_client import END
from tests.e2e.scenario_runner import (
    ASGI,
    TAKEOVER,
    TAKEOVER_IN_TASKS,
    Path,
    ScenarioServers,
    Transports,
)
from tests.e2e.scenarios import (
    LOBBY,
    LONG,
    SCENARIO,
    Connect,
    Event,
    Scenario,
    Send,
    command,
    personal,
    to_room,
)

SCENARIOS = int(os.environ.get("SCENARIOS", "40"))

# Hypothesis takes up to five minutes to shrink a failing scenario.
pytestmark = pytest.mark.timeout(400 + 2 * SCENARIOS)

PERSONAL_MESSAGE = '42["receive_personal_message",'

Received = Sequence[Sequence[str]]
"""The packets or frames that each client received."""

MISSED = 100
FALLEN_BEHIND = Scenario(
    [
        Connect("ada", "websocket"),
        Send(0, [Event(personal("ada", LONG, {}), is_acknowledged=False, times=MISSED)]),
        Connect(
            "ada",
            "websocket",
            [
                Event(to_room(LOBBY, "hello", {})),
                Event(personal("ada", "hello", {})),
                Event(command("shout", {})),
            ],
        ),
    ],
    store_waits=False,
)
"""A user who missed more than one batch sends commands while it is pushed."""

played = settings(
    max_examples=SCENARIOS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(
    scope="module",
    params=[asyncio.new_event_loop, uvloop.new_event_loop],
    ids=["asyncio", "uvloop"],
)
def servers(request: pytest.FixtureRequest) -> Iterator[ScenarioServers]:
    servers = ScenarioServers(request.param)
    servers.open([ASGI, TAKEOVER, TAKEOVER_IN_TASKS])
    yield servers
    servers.close()


@played
@given(scenario=SCENARIO)
@example(scenario=FALLEN_BEHIND)
def test_clients_get_same_frames_on_every_path(
    servers: ScenarioServers, scenario: Scenario
) -> None:
    asgi, takeover, in_tasks = (
        servers.run(scenario, path, "as drawn") for path in (ASGI, TAKEOVER, TAKEOVER_IN_TASKS)
    )

    assert_same(takeover, asgi)
    assert_same(in_tasks, asgi)


@played
@given(scenario=SCENARIO)
@example(scenario=FALLEN_BEHIND)
def test_clients_get_same_packets_over_every_transport(
    servers: ScenarioServers, scenario: Scenario
) -> None:
    choices: Sequence[Transports] = ("polling", "websocket", "upgrade")
    polled, over_websocket, upgraded = (
        [_packets(received) for received in servers.run(scenario, TAKEOVER, transports)]
        for transports in choices
    )

    assert_same(over_websocket, polled)
    assert_same(upgraded, polled)


@pytest.mark.parametrize(
    "path", [ASGI, TAKEOVER, TAKEOVER_IN_TASKS], ids=["asgi", "takeover", "takeover-in-tasks"]
)
@pytest.mark.parametrize("transports", ["polling", "websocket"])
def test_batching_missed_messages_changes_only_their_position(
    servers: ScenarioServers, path: Path, transports: Transports
) -> None:
    _, at_once = servers.run(FALLEN_BEHIND, path, transports)

    _, in_batches = servers.run(FALLEN_BEHIND, path, transports, Limits().max_push_batch_bytes)

    assert _seqs_of_personal_messages(in_batches) == list(range(1, MISSED + 2))
    assert _apart(in_batches) == _apart(at_once)


def assert_same(those: Received, others: Received) -> None:
    for that, other in zip(those, others, strict=True):
        assert that == other


def _apart(received: Sequence[str]) -> Sequence[Sequence[str]]:
    """Return the personal messages and everything else, each in order."""
    messages = [each for each in received if each.startswith(PERSONAL_MESSAGE)]
    return messages, [each for each in received if not each.startswith(PERSONAL_MESSAGE)]


def _seqs_of_personal_messages(received: Sequence[str]) -> Sequence[int]:
    return [json.loads(each[2:])[1]["seq"] for each in _apart(received)[0]]


def _packets(received: Sequence[str]) -> Sequence[str]:
    """Return the packets up to the end, without the `upgrades` of the first one."""
    until_end = received[: received.index(END)] if END in received else received
    opened, *rest = [each for each in until_end if not each.startswith("<")]
    return [opened.replace('["websocket"]', "[]"), *rest]
