"""Spans for commands, with a real OpenTelemetry set up by the host application."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from socketio_app.adapters.opentelemetry import tracing
from tests.e2e.clients import PythonClient
from tests.e2e.test_serving import free_port, wait_until_there
from tests.tokens import SECRET

pytestmark = pytest.mark.anyio

HOST = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from socketio_app.main import create_socketio_app



def line(span):
    return span.to_json(indent=None) + "\\n"


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
trace.set_tracer_provider(provider)


async def check(token):
    with trace.get_tracer("host").start_as_current_span("check of a token"):
        return token


app = create_socketio_app(verify_token=check)
"""


@pytest.fixture
async def spans(tmp_path: Path) -> list[dict[str, object]]:
    """Return the spans of three commands sent by Ada."""
    (tmp_path / "host.py").write_text(HOST)
    port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "uvicorn", "host:app", "--port", port, "--log-level", "warning"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    await wait_until_there(url, process)
    ada = await PythonClient().open(url, "websocket", {"auth": {"token": "ada"}})
    await ada.call("join_room", {"room_id": "lobby"})
    await ada.call("send_group_message", {"room_id": "lobby", "content": ""})
    await ada.call("made up by a client", {"secret": "of ada's"})
    await ada.call("refresh_token", {"token": "ada"})
    await ada.close()
    process.terminate()
    output, _ = await process.communicate()
    return [json.loads(line) for line in output.splitlines()]


async def test_command_span_has_user_and_outcome(
    spans: list[dict[str, object]],
) -> None:
    commands = [span for span in spans if span["kind"] == "SpanKind.SERVER"]

    found = {}
    for span in commands:
        attributes = span["attributes"]
        assert isinstance(attributes, dict)
        assert attributes.pop("chat.connection")
        found[str(span["name"])] = attributes
    assert found == {
        "join_room": expected_attributes("join_room", "ok"),
        "send_group_message": expected_attributes("send_group_message", "invalid_payload"),
        "other": expected_attributes("other", "unknown_command"),
        "refresh_token": expected_attributes("refresh_token", "ok"),
    }
    assert "secret" not in str(spans)


def expected_attributes(command: str, outcome: str) -> dict[str, str]:
    return {"chat.command": command, "user.id": "ada", "chat.outcome": outcome}


async def test_work_of_command_is_inside_its_span(spans: list[dict[str, object]]) -> None:
    (refreshing,) = (span for span in spans if span["name"] == "refresh_token")
    context = refreshing["context"]
    assert isinstance(context, dict)

    checks = [span["parent_id"] for span in spans if span["name"] == "check of a token"]

    assert checks == [None, context["span_id"]]


async def test_tracing_is_disabled_by_default() -> None:
    assert tracing() is None
