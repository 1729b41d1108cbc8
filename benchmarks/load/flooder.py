"""One client that sends as if it were alone in the world."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from benchmarks.load.client import Client, Tally
from benchmarks.load.crowd import Crowd

IN_FLIGHT = 1024
"""So many of the flooder's messages wait for the server at any time."""


@attrs.define
class Flooder:
    """How far it has come."""

    answered: int = 0


@asynccontextmanager
async def flooding(crowd: Crowd) -> AsyncIterator[Flooder]:
    """While it lasts, another client floods the server with messages to a room of its own.

    Each is good and must be carried out. The next is sent when the server has answered one, so
    that it is the server that is flooded, and not the memory of this process.
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
