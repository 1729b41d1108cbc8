"""A client gets the same whichever way it goes: over each transport, handed over or not."""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings

from socketio_app.application.limits import Limits
from tests.e2e.frame_client import END
from tests.e2e.scenario_runner import FAST, FAST_IN_TASKS, PLAIN, Over, Path, Theatre
from tests.e2e.scenarios import (
    LOBBY,
    LONG,
    SCENARIO,
    Come,
    Event,
    Say,
    Scenario,
    personal,
    said,
    to_room,
)

SCENARIOS = int(os.environ.get("SCENARIOS", "40"))

# hypothesis takes up to five minutes to make a scenario that fails a small one.
pytestmark = pytest.mark.timeout(400 + 2 * SCENARIOS)

PERSONAL_MESSAGE = '42["receive_personal_message",'

Received = Sequence[Sequence[str]]
"""What each client got."""

MISSED = 100
FALLEN_BEHIND = Scenario(
    [
        Come("ada", "websocket"),
        Say(0, [Event(personal("ada", LONG, {}), is_acknowledged=False, times=MISSED)]),
        Come(
            "ada",
            "websocket",
            [
                Event(to_room(LOBBY, "hello", {})),
                Event(personal("ada", "hello", {})),
                Event(said("shout", {})),
            ],
        ),
    ],
    store_waits=False,
)
"""Somebody has missed more than one batch, and sends commands while it is pushed."""

played = settings(
    max_examples=SCENARIOS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(
    scope="module",
    params=[asyncio.new_event_loop, uvloop.new_event_loop],
    ids=["asyncio", "uvloop"],
)
def theatre(request: pytest.FixtureRequest) -> Iterator[Theatre]:
    theatre = Theatre(request.param)
    theatre.open([PLAIN, FAST, FAST_IN_TASKS])
    yield theatre
    theatre.close()


@played
@given(scenario=SCENARIO)
@example(scenario=FALLEN_BEHIND)
def test_clients_get_same_frames_on_every_path(theatre: Theatre, scenario: Scenario) -> None:
    plain, fast, in_tasks = (
        theatre.play(scenario, path, "as they come") for path in (PLAIN, FAST, FAST_IN_TASKS)
    )

    assert_same(fast, plain)
    assert_same(in_tasks, plain)


@played
@given(scenario=SCENARIO)
@example(scenario=FALLEN_BEHIND)
def test_clients_get_same_packets_over_every_transport(
    theatre: Theatre, scenario: Scenario
) -> None:
    transports: Sequence[Over] = ("polling", "websocket", "upgrade")
    polled, over_websocket, upgraded = (
        [_packets(received) for received in theatre.play(scenario, FAST, over)]
        for over in transports
    )

    assert_same(over_websocket, polled)
    assert_same(upgraded, polled)


@pytest.mark.parametrize("path", [PLAIN, FAST, FAST_IN_TASKS], ids=["plain", "fast", "in tasks"])
@pytest.mark.parametrize("over", ["polling", "websocket"])
def test_batching_missed_messages_changes_only_their_position(
    theatre: Theatre, path: Path, over: Over
) -> None:
    _, at_once = theatre.play(FALLEN_BEHIND, path, over)

    _, in_batches = theatre.play(FALLEN_BEHIND, path, over, Limits().max_push_batch_bytes)

    assert _seqs_of_personal_messages(in_batches) == list(range(1, MISSED + 2))
    assert _apart(in_batches) == _apart(at_once)


def assert_same(those: Received, others: Received) -> None:
    for that, other in zip(those, others, strict=True):
        assert that == other


def _apart(received: Sequence[str]) -> Sequence[Sequence[str]]:
    """The personal messages, and all else, each in its order."""
    messages = [each for each in received if each.startswith(PERSONAL_MESSAGE)]
    return messages, [each for each in received if not each.startswith(PERSONAL_MESSAGE)]


def _seqs_of_personal_messages(received: Sequence[str]) -> Sequence[int]:
    return [json.loads(each[2:])[1]["seq"] for each in _apart(received)[0]]


def _packets(received: Sequence[str]) -> Sequence[str]:
    """The packets up to the end; the first without what it says of transports."""
    until_end = received[: received.index(END)] if END in received else received
    opened, *rest = [each for each in until_end if not each.startswith("<")]
    return [opened.replace('["websocket"]', "[]"), *rest]
