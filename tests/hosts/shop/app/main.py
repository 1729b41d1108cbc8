"""The application: an API, and the chat beside it at `/socket.io/`."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from app.api.main import api_router
from app.core.config import settings
from app.core.security import user_id_of
from socketio_app import ChatError, add_chat, handle_chat_error

app = FastAPI(title=settings.PROJECT_NAME, openapi_url=f"{settings.API_V1_STR}/openapi.json")

app.add_middleware(
    CORSMiddleware,
    allow_origins=settings.cors_origins,
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)
app.include_router(api_router, prefix=settings.API_V1_STR)


def user_of_cookie(token: str | None, request: HTTPConnection) -> int | None:
    """Return the user of a browser, which has a cookie, or of another client's token."""
    return user_id_of(token or request.cookies.get(settings.SESSION_COOKIE or "", ""))


add_chat(app, settings=settings, verify_token=user_of_cookie if settings.SESSION_COOKIE else None)
app.add_exception_handler(ChatError, handle_chat_error)
