"""A server with several workers shares one chat, or does not start."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.clients import PythonClient, until
from tests.e2e.uvicorn_process import uvicorn
from tests.tokens import token

pytestmark = pytest.mark.anyio

APPLICATION = """
from socketio_app.main import create_socketio_app

app = create_socketio_app()
"""

APPLICATION_WITH_ADDED_CHAT = """
from fastapi import FastAPI
from socketio_app import add_chat

app = FastAPI()
add_chat(app)
"""

REFUSAL = "another worker of this server is already running: run one worker"


@pytest.mark.parametrize(
    "application", [APPLICATION, APPLICATION_WITH_ADDED_CHAT], ids=["in-front", "added"]
)
async def test_second_worker_with_chat_in_memory_is_rejected(
    application: str, tmp_path: Path
) -> None:
    async with uvicorn(tmp_path, application, "--workers", "2") as server:
        await server.until_written(
            lambda written: REFUSAL in written and "startup complete" in written
        )


async def test_replaced_worker_serves_chat_again(tmp_path: Path) -> None:
    async with uvicorn(tmp_path, APPLICATION, "--reload", "--reload-dir", str(tmp_path)) as server:
        await server.until_written(lambda written: "startup complete" in written)

        (tmp_path / "hosted.py").write_text(APPLICATION + "\n# changed\n")
        await server.until_written(lambda written: written.count("startup complete") == 2)

        reading = asyncio.create_task(server.read_output())
        ada = await PythonClient().open(server.url, "websocket", {"auth": {"token": token("ada")}})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()
        reading.cancel()
