"""Runs python-socketio's client by itself, for tests that stop its process.

Usage: python -m tests.e2e.python_client URL TOKEN TRANSPORT...
It prints each event as a line of JSON.
"""

import asyncio
import json
import sys
from typing import Any

import socketio


async def main(url: str, token: str, *transports: str) -> None:
    client = socketio.AsyncClient(reconnection=False)

    async def print_event(event: str, payload: Any) -> None:
        print(json.dumps([event, payload]), flush=True)

    client.on("*", print_event)
    await client.connect(url, auth={"token": token}, transports=list(transports))
    await client.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
