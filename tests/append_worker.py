"""A process that appends messages to a room, 64 at a time.

Usage: python -m tests.append_worker DATABASE_URL CLIENT_MESSAGE_ID_PREFIX COUNT
"""

import asyncio
import sys

from socketio_app.adapters.sql.postgres.store import PostgresStore
from socketio_app.domain.conversations import Room
from tests.builders import LOBBY, draft

CONCURRENCY = 64


async def append(url: str, prefix: str, count: int) -> None:
    store = PostgresStore(url, rooms_per_user=10)
    await store.start()
    numbers = iter(range(count))

    async def append_some() -> None:
        for number in numbers:
            message = draft(Room(LOBBY), client_message_id=f"{prefix}{number}")
            await store.messages.append(message)

    await asyncio.gather(*[append_some() for _ in range(CONCURRENCY)])
    await store.close()


if __name__ == "__main__":
    asyncio.run(append(sys.argv[1], sys.argv[2], int(sys.argv[3])))
