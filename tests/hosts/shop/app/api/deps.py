"""What the routes depend on."""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.core.config import settings
from app.core.db import async_sessions, sessions
from app.core.security import user_id_of
from app.models import User
from socketio_app import Chat, get_chat

login_url = f"{settings.API_V1_STR}/login/access-token"
bearer = OAuth2PasswordBearer(tokenUrl=login_url, auto_error=False)


def get_session() -> Iterator[Session]:
    with sessions() as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with async_sessions() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
AsyncSessionDep = Annotated[AsyncSession, Depends(get_async_session)]
ChatDep = Annotated[Chat, Depends(get_chat)]


def get_current_user(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(bearer)]
) -> User:
    if token is None and settings.SESSION_COOKIE:
        token = request.cookies.get(settings.SESSION_COOKIE)
    user_id = user_id_of(token or "")
    user = None if user_id is None else session.get(User, user_id)
    if user is None:
        raise HTTPException(401, "Could not validate credentials")
    return user


def check_worker_key(key: Annotated[str, Header(alias="X-Worker-Key")]) -> None:
    if not secrets.compare_digest(key, settings.WORKER_KEY.get_secret_value()):
        raise HTTPException(403, "Not the worker")


CurrentUser = Annotated[User, Depends(get_current_user)]
