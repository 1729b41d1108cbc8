"""The database's engines, and sessions for `def` and `async def` routes."""

from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from app.core.config import settings

url = str(settings.DATABASE_URL)
engine = create_engine(url)
async_engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))

sessions = sessionmaker(engine, class_=Session)
async_sessions = async_sessionmaker(async_engine, class_=AsyncSession, expire_on_commit=False)


@event.listens_for(engine, "connect")
@event.listens_for(async_engine.sync_engine, "connect")
def leave_checkpoints_to_the_chat(connection: Any, _record: object) -> None:
    if engine.dialect.name == "sqlite":
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.close()
