"""The benchmarks run on real servers, and fail on broken ones."""

import subprocess
import sys
import urllib.request

import attrs
import pytest

from benchmarks.hostile import SERVER as HOSTILE
from benchmarks.load.options import Load
from benchmarks.promises import BOTH_TRANSPORTS, COUNTED, DIRECT, RATES, UNCONFIRMED, servers_of
from benchmarks.running import MeasuringError, measure, running
from benchmarks.servers import BUN, FLOOR, OURS, OVER_JSON, PLAIN, Server, bun_version

SHORT = Load("fanout", clients=5, senders=2, window=2, seconds=0.3, warm_up=0.1)


@pytest.mark.parametrize(
    ("scenario", "figure"),
    [
        ("fanout", "deliveries_per_s"),
        ("fanout_received", "deliveries_per_s"),
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
    ("load", "server"),
    [
        *[(DIRECT, server) for server in servers_of(DIRECT)],
        ("fanout", BOTH_TRANSPORTS),
        ("fanout_received", UNCONFIRMED),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_promise_is_measured_with_and_without(load: str, server: Server) -> None:
    assert measure(server, attrs.evolve(SHORT, scenario=load))["cpu_us"] > 0


def test_chat_with_metrics_serves_them() -> None:
    with running(COUNTED) as found:
        url = f"http://127.0.0.1:{found.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.status == 200


def test_rates_of_sending_and_connecting_are_measured() -> None:
    assert {"RATE_SEND_PER_USER", "RATE_SEND_PER_CONNECTION", "HANDSHAKES_PER_ADDRESS"} <= set(
        RATES
    )


def test_chat_with_tracer_provider_traces_commands() -> None:
    program = """
from benchmarks.variants.traced import set_provider
from socketio_app.entrypoints.composition import configured_tracing
assert configured_tracing() is None
set_provider()
assert configured_tracing() is not None
"""

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_chat_without_confirmation_reports_no_delivery() -> None:
    with pytest.raises(MeasuringError, match="fanout on without confirmation"):
        measure(UNCONFIRMED, SHORT)


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
