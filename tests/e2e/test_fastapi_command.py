"""`fastapi dev` and `fastapi run` serve the chat that is added to an application."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.clients import PythonClient, until
from tests.e2e.uvicorn_process import Server, python_module
from tests.tokens import token

pytestmark = pytest.mark.anyio

APPLICATION = """
from fastapi import FastAPI
from socketio_app import add_chat

api = FastAPI()
chat = add_chat(api)
"""


async def started(server: Server, times: int = 1) -> None:
    await server.until_written(lambda written: written.count("startup complete") == times)
    await server.until_listening()


async def serves_chat(server: Server) -> None:
    reading = asyncio.create_task(server.read_output())
    ada = await PythonClient().open(server.url, "upgrade", {"auth": {"token": token("ada")}})
    assert (await until(ada, "connected"))["user_id"] == "ada"
    await ada.close()
    reading.cancel()
    await asyncio.wait([reading])


async def test_fastapi_run_serves_chat(tmp_path: Path) -> None:
    async with python_module(tmp_path, APPLICATION, "fastapi", "run", "hosted.py") as server:
        await started(server)
        await serves_chat(server)


async def test_fastapi_dev_serves_chat_again_after_change(tmp_path: Path) -> None:
    async with python_module(tmp_path, APPLICATION, "fastapi", "dev", "hosted.py") as server:
        await started(server)
        await serves_chat(server)

        (tmp_path / "hosted.py").write_text(APPLICATION + "\n# changed\n")
        await started(server, times=2)
        await serves_chat(server)
