"""Metrics for Prometheus."""

import json
import re
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_metrics

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.settings import Settings
from tests.e2e.clients import PythonClient, Rejected, until
from tests.e2e.serving import serving
from tests.e2e.test_serving import free_port, served
from tests.tokens import SECRET, token

pytestmark = pytest.mark.anyio

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"

Samples = dict[str, float]
"""Return the values by name and labels, as `name{label="value"}`, without histogram buckets."""


async def scrape(url: str) -> str:
    async with aiohttp.ClientSession(url) as http, http.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return await answer.text()


async def samples(url: str) -> Samples:
    found: Samples = {}
    for family in read_metrics(await scrape(url)):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            if "le" not in sample.labels:
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


ENDS = ("client_disconnect", "transport_close", "transport_error")


async def test_all_activity_is_counted(tmp_path: Path) -> None:
    settings = Settings(
        secret_key=SECRET, metrics_port=9000, database_url=f"sqlite:///{tmp_path}/chat.db"
    )
    composition = compose(settings)
    assert composition.metrics_route is not None

    async with serving(application(composition, more=(composition.metrics_route,))) as url:
        ada, bob = [
            await PythonClient().open(url, "websocket", {"auth": {"token": token(name)}})
            for name in ("ada", "bob")
        ]
        with pytest.raises(Rejected):
            await PythonClient().open(url, "websocket", {"auth": {"token": "no token"}})
        for client in (ada, bob):
            await client.call("join_room", {"room_id": "lobby"})
        await ada.call("send_group_message", {"room_id": "lobby", "content": "Hello"})
        await until(bob, "receive_group_message")
        await ada.call("send_group_message", {"room_id": "elsewhere", "content": "Hello"})
        await ada.call("made up", {})
        await bob.close()
        await until(ada, "group_message_delivered")
        while composition.chat.connection_count > 1:
            await ada.call("settle", {})

        found = await samples(url)
        await ada.close()

    assert found["chat_connections"] == 1
    assert found["chat_connections_opened_total"] == 2
    # Which arrives first, the client's disconnect packet or the end of its transport, is random.
    closed = [found.get(f'chat_connections_closed_total{{reason="{each}"}}', 0) for each in ENDS]
    assert sum(closed) == 1
    assert found['chat_connections_refused_total{code="unauthenticated"}'] == 1
    assert found['chat_commands_total{command="join_room",outcome="ok"}'] == 2
    assert found['chat_commands_total{command="send_group_message",outcome="ok"}'] == 1
    assert found['chat_commands_total{command="send_group_message",outcome="not_a_member"}'] == 1
    assert found['chat_commands_total{command="other",outcome="unknown_command"}'] >= 1
    assert found['chat_command_seconds_count{command="send_group_message"}'] == 2
    # Two `user_joined`, for one and for two members; the message; and its receipt.
    assert found["chat_deliveries_total"] == 5
    assert found["chat_delivery_seconds_count"] == 1
    assert found["chat_commit_writes_sum"] == 3
    assert found["chat_commit_seconds_count"] == found["chat_commit_writes_count"]
    assert found["chat_commit_waiting"] == 0
    assert found["chat_unread_bytes"] == 0
    assert found["chat_frames_dropped_total"] == 0
    assert found["process_open_fds"] > 0


async def test_chats_in_one_process_have_separate_metrics() -> None:
    first, second = [compose(Settings(secret_key=SECRET, metrics_port=9000)) for _ in range(2)]
    assert first.metrics_route is not None
    assert second.metrics_route is not None

    async with serving(application(first, more=(first.metrics_route,))) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await until(ada, "connected")
        async with serving(application(second, more=(second.metrics_route,))) as other:
            assert (await samples(url))["chat_connections"] == 1
            assert (await samples(other))["chat_connections"] == 0
        await ada.close()


async def test_dashboard_uses_exported_metrics_only(tmp_path: Path) -> None:
    settings = Settings(
        secret_key=SECRET, metrics_port=9000, database_url=f"sqlite:///{tmp_path}/chat.db"
    )
    composition = compose(settings)
    assert composition.metrics_route is not None
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]

    async with serving(application(composition, more=(composition.metrics_route,))) as url:
        exported = await scrape(url)

    named = set(re.findall(r"\b(?:chat|process)_\w+", " ".join(asked)))
    families = re.findall(r"^# TYPE (\S+) (\S+)$", exported, re.MULTILINE)
    known = {name for name, _ in families} | {
        name + suffix
        for name, kind in families
        if kind == "histogram"
        for suffix in ("_bucket", "_sum", "_count")
    }
    assert named <= known
    assert len(named) > 15


async def test_metrics_have_own_port(tmp_path: Path) -> None:
    port = free_port()
    async with served(tmp_path, SECRET_KEY=SECRET, METRICS_PORT=str(port)) as server:
        operations = f"http://127.0.0.1:{port}"
        assert (await samples(operations))["chat_connections"] == 0
        async with aiohttp.ClientSession() as http:
            for path in ("/healthz", "/readyz"):
                async with http.get(operations + path) as answer:
                    assert answer.status == 200
            async with http.get(f"{server.url}/metrics") as answer:
                assert answer.status == 404
            async with http.get(f"{operations}/socket.io/?EIO=4&transport=polling") as answer:
                assert answer.status == 404
            # A scraper that keeps its connection open does not block shutdown.
            status, errors = await server.end()

        assert status < 0
        assert "Traceback" not in errors


async def test_metrics_can_share_port_with_chat(tmp_path: Path) -> None:
    port = str(free_port())
    async with served(tmp_path, SECRET_KEY=SECRET, SOCKETIO_PORT=port, METRICS_PORT=port) as server:
        assert (await samples(server.url))["chat_connections"] == 0


async def test_metrics_are_disabled_by_default(tmp_path: Path) -> None:
    async with served(tmp_path, SECRET_KEY=SECRET) as server:
        async with aiohttp.ClientSession() as http, http.get(f"{server.url}/metrics") as answer:
            assert answer.status == 404
