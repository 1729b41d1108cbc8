"""What a host application with uvicorn's default logging shows of the chat."""

import re
from pathlib import Path

import pytest

from tests.e2e.clients import PythonClient, Rejected
from tests.e2e.uvicorn_process import uvicorn

pytestmark = pytest.mark.anyio

HOST = """
from fastapi import FastAPI
from socketio_app import create_socketio_app

app = create_socketio_app(FastAPI())
"""

NOT_A_TOKEN = "q7Zx-not-a-token"


async def test_reason_for_a_rejected_token_is_shown_with_its_address_and_never_sent(
    tmp_path: Path,
) -> None:
    async with uvicorn(tmp_path, HOST) as server:
        await server.until_written(lambda written: "Uvicorn running" in written)

        with pytest.raises(Rejected) as answer:
            await PythonClient().open(server.url, "polling", {"auth": {"token": NOT_A_TOKEN}})
        await server.until_written(lambda written: "connection rejected" in written)

    (line,) = re.findall("connection rejected.*", server.written)
    assert "address: 127.0.0.1" in line
    assert "reason: the token is not a well-formed JSON Web Token" in line
    assert "well-formed" not in str(answer.value)
    assert NOT_A_TOKEN not in server.written


async def test_host_without_a_database_is_warned_that_messages_are_lost(tmp_path: Path) -> None:
    async with uvicorn(tmp_path, HOST) as server:
        await server.until_written(lambda written: "Uvicorn running" in written)

    assert "messages are stored in memory and lost when this process exits" in server.written
