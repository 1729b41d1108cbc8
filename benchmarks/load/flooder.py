"""A client that sends without regard for others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from benchmarks.load.client import Client, Tally
from benchmarks.load.crowd import Crowd

IN_FLIGHT = 1024
"""Number of the flooder's messages that are unanswered at any time."""


@attrs.define
class Flooder:
    """The progress of the flood."""

    answered: int = 0


@asynccontextmanager
async def flooding(crowd: Crowd) -> AsyncIterator[Flooder]:
    """Let another client flood the server with messages to its own room within the context.

    Each message is valid and must be executed. The next one is sent when the server has answered
    one, so that the server is flooded, and not the memory of this process.
    """
    flooder, tally = Flooder(), Tally()

    def post_another(client: Client) -> None:
        flooder.answered += 1
        client.send(packet)

    client = await crowd.connect_one("flooder", tally)
    packet = client.command("send_group_message", room_id="flood", content="x" * 64)
    await client.ask("join_room", room_id="flood")
    tally.when_delivered = post_another
    for _ in range(IN_FLIGHT):
        client.send(packet)
    yield flooder
    tally.when_delivered = None
    client.close()
