"""The page for operators agrees with the code."""

import re
import runpy
from pathlib import Path
from typing import Annotated, get_args

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from socketio_app import Chat, Room, get_chat
from socketio_app.adapters.prometheus import exported_name
from socketio_app.application.metric_fields import MetricDefinition, definitions
from socketio_app.application.metrics import Metrics
from socketio_app.application.readiness import STORE_CHECK_TIMEOUT, NotReadyReason
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import compose
from socketio_app.entrypoints.logs import FIELDS
from socketio_app.entrypoints.settings import Settings, names
from tests.e2e.serving import serving
from tests.e2e.test_metrics import scrape
from tests.tokens import SECRET

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text()


def test_settings_in_the_page_exist() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE))

    assert named <= set(names())
    assert {"DRAIN_SECONDS", "METRICS_PORT", "LOG_FORMAT"} <= named


@pytest.mark.anyio
async def test_metrics_in_the_page_are_exported(tmp_path: Path) -> None:
    settings = Settings(
        secret_key=SECRET, metrics_port=9000, database_url=f"sqlite:///{tmp_path}/chat.db"
    )
    composition = compose(settings)
    assert composition.metrics_route is not None
    named = set(re.findall(r"\b(?:chat|process)_\w+", PAGE))

    async with serving(application(composition, more=(composition.metrics_route,))) as url:
        exported = set(re.findall(r"^# TYPE (\S+)", await scrape(url), re.MULTILINE))

    assert {name.removesuffix("_bucket") for name in named} <= exported
    assert len(named) >= 10


def metric_row(metric: MetricDefinition) -> str:
    """A metric's row in the table."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{exported_name(metric)}` | {metric.kind} | {labels} | {metric.meaning} |"


def test_table_of_metrics_has_every_metric_with_its_meaning() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `chat_")]

    metrics = [metric_row(each) for each in definitions(Metrics).values()]
    assert [row for row in rows if row.count("|") == 5] == metrics


def test_page_has_every_reason_of_readyz_and_the_timeout_of_the_store() -> None:
    for not_ready_reason in get_args(NotReadyReason):
        assert f"`{not_ready_reason}`" in PAGE
    assert f"not answered for {STORE_CHECK_TIMEOUT.seconds} seconds" in PAGE


def test_page_has_every_field_of_the_log() -> None:
    section = PAGE.partition("## Logging")[2].partition("\n## ")[0]

    for field in FIELDS:
        assert f"`{field}`" in section


def test_page_has_every_file_in_deploy() -> None:
    for file in (ROOT / "deploy").iterdir():
        assert f"`{file.name}`" in PAGE


def run_snippet(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """Run a snippet of the page; return its application."""
    found = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    monkeypatch.setenv("SECRET_KEY", SECRET)
    module = tmp_path / "module.py"
    module.write_text(found[1])
    app: FastAPI = runpy.run_path(str(module))["app"]
    return app


def test_route_responds_to_error_of_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = run_snippet("handle-chat-error", tmp_path, monkeypatch)

    @app.post("/send")
    async def send(chat: Annotated[Chat, Depends(get_chat)]) -> None:
        await chat.send("ada", Room("lobby"), "Hello")

    with TestClient(app) as client:
        answer = client.post("/send")
    assert answer.status_code == 403
    assert answer.json()["detail"]["code"] == "not_a_member"


def test_application_serves_health_checks_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_snippet("operations-app", tmp_path, monkeypatch)

    with TestClient(app) as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert client.get(f"/internal{path}").status_code == 200
