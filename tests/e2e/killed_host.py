"""A host application whose process is killed right after the commit of a message.

Usage: DATABASE_URL=... python -m tests.e2e.killed_host PORT
"""

import os
import signal
import sys

import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from socketio_app import Chat, Person, create_socketio_app

api = FastAPI()
app = create_socketio_app(api)
url = os.environ["DATABASE_URL"]
for database, driver in (("postgresql:", "postgresql+asyncpg:"), ("sqlite:", "sqlite+aiosqlite:")):
    url = url.replace(database, driver)
sessions = async_sessionmaker(create_async_engine(url))


@api.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@api.post("/die")
async def die(to: str) -> None:
    chat: Chat = api.state.chat
    async with sessions() as session:
        await chat.send("shop", Person(to), "Last words", connection=session)
        await session.commit()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
