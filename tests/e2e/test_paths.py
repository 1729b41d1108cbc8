"""A client gets the same whichever way it goes: over each transport, handed over or not."""

import asyncio
import os
from collections.abc import Iterator, Sequence

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings

from tests.e2e.frame_client import END
from tests.e2e.playing import FAST, FAST_IN_TASKS, PLAIN, Over, Theatre
from tests.e2e.scenarios import SCENARIO, Scenario

SCENARIOS = int(os.environ.get("SCENARIOS", "40"))

# hypothesis takes up to five minutes to make a scenario that fails a small one.
pytestmark = pytest.mark.timeout(400 + 2 * SCENARIOS)

Received = Sequence[Sequence[str]]
"""What each client got."""

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
def test_every_client_gets_the_same_frames_on_every_path(
    theatre: Theatre, scenario: Scenario
) -> None:
    plain, fast, in_tasks = (
        theatre.play(scenario, path, "as they come") for path in (PLAIN, FAST, FAST_IN_TASKS)
    )

    assert_same(fast, plain)
    assert_same(in_tasks, plain)


@played
@given(scenario=SCENARIO)
def test_every_client_gets_the_same_packets_over_every_transport(
    theatre: Theatre, scenario: Scenario
) -> None:
    transports: Sequence[Over] = ("polling", "websocket", "upgrade")
    polled, over_websocket, upgraded = (
        [_packets(received) for received in theatre.play(scenario, FAST, over)]
        for over in transports
    )

    assert_same(over_websocket, polled)
    assert_same(upgraded, polled)


def assert_same(those: Received, others: Received) -> None:
    for that, other in zip(those, others, strict=True):
        assert that == other


def _packets(received: Sequence[str]) -> Sequence[str]:
    """The packets up to the end; the first without what it says of transports."""
    until_end = received[: received.index(END)] if END in received else received
    opened, *rest = [each for each in until_end if not each.startswith("<")]
    return [opened.replace('["websocket"]', "[]"), *rest]
