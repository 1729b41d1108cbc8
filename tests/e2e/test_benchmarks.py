"""The benchmarks run on real servers, and fail on broken ones."""

import sys

import attrs
import pytest

from benchmarks.hostile import SERVER as HOSTILE
from benchmarks.load.options import Load
from benchmarks.running import MeasuringError, measure
from benchmarks.servers import BUN, FLOOR, OURS, OVER_JSON, PLAIN, Server, bun_version

SHORT = Load("fanout", clients=5, senders=2, window=2, seconds=0.3, warm_up=0.1)


@pytest.mark.parametrize(
    ("scenario", "figure"),
    [
        ("fanout", "deliveries_per_s"),
        ("large", "deliveries_per_s"),
        ("direct", "deliveries_per_s"),
        ("latency", "p99_ms"),
        ("flood", "flood_per_s"),
        ("idle", "connects_per_s"),
    ],
)
def test_every_scenario_runs_on_chat(scenario: str, figure: str) -> None:
    assert measure(OURS, attrs.evolve(SHORT, scenario=scenario))[figure] > 0


@pytest.mark.parametrize("kind", ["connects", "probes", "handshakes"])
def test_hostile_client_is_measured(kind: str) -> None:
    load = attrs.evolve(SHORT, scenario="hostile", attack=kind, attackers=2)

    assert measure(HOSTILE, load)["p99_attacked_ms"] > 0


@pytest.mark.parametrize("server", [OVER_JSON, PLAIN, FLOOR], ids=lambda server: server.name)
@pytest.mark.parametrize("scenario", ["fanout", "direct"])
def test_scenarios_run_on_other_servers(server: Server, scenario: str) -> None:
    assert measure(server, attrs.evolve(SHORT, scenario=scenario))["deliveries_per_s"] > 0


@pytest.mark.skipif(bun_version() is None, reason="Bun is installed by `make bench` only")
@pytest.mark.parametrize("scenario", ["fanout", "direct", "latency", "flood", "idle"])
def test_scenarios_run_on_bun(scenario: str) -> None:
    assert measure(BUN, attrs.evolve(SHORT, scenario=scenario))["connects_per_s"] > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"RATE_LIMITS": "on", "RATE_SEND_PER_CONNECTION": "1", "RATE_BURST_SECONDS": "1"},
        {"SECRET_KEY": "another-key-than-the-clients-tokens-are-of"},
    ],
    ids=["limits", "key"],
)
def test_server_that_rejects_clients_is_not_measured(settings: dict[str, str]) -> None:
    refusing = attrs.evolve(OURS, settings={**OURS.settings, **settings})

    with pytest.raises(MeasuringError, match="fanout on socketio-app"):
        measure(refusing, SHORT)


def test_server_that_exits_is_not_measured() -> None:
    with pytest.raises(MeasuringError, match="does not listen; status 3"):
        measure(Server("none", (sys.executable, "-c", "raise SystemExit(3)")), SHORT)
