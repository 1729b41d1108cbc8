"""A real-time chat server: mounted in a FastAPI or Starlette application, or standalone.

Everything that an application needs is importable from here; other modules may change.
"""

from socketio_app.application.chat import Chat
from socketio_app.application.commands import (
    Actor,
    CatchUp,
    FetchHistory,
    JoinRoom,
    LeaveRoom,
    ListConversations,
    MarkRead,
    Position,
    RefreshToken,
    SendMessage,
    StartTyping,
    StopTyping,
)
from socketio_app.application.from_thread import FromThread
from socketio_app.application.home_loop import WrongEventLoopError
from socketio_app.application.hooks import ConnectionClosed, ConnectionOpened, Hooks
from socketio_app.application.outbox import HostConnectionError, QueuedMessage
from socketio_app.application.ports import Identity
from socketio_app.domain.conversations import Pair, Person, Room
from socketio_app.domain.errors import (
    ChatError,
    Conflict,
    ContentTooLong,
    InvalidPayload,
    NotAMember,
    RateLimited,
    TokenExpired,
    TokenRejected,
    TooManyConnections,
    Unauthenticated,
    Unavailable,
    UnknownCommand,
)
from socketio_app.domain.history import Window
from socketio_app.domain.messaging import Message
from socketio_app.entrypoints.asgi import add_chat, chat_of, create_socketio_app, get_chat
from socketio_app.entrypoints.error_responses import handle_chat_error
from socketio_app.entrypoints.operations_app import operations_app
from socketio_app.entrypoints.settings import Settings, SettingsError

__all__ = [
    "Actor",
    "CatchUp",
    "Chat",
    "ChatError",
    "Conflict",
    "ConnectionClosed",
    "ConnectionOpened",
    "ContentTooLong",
    "FetchHistory",
    "FromThread",
    "Hooks",
    "HostConnectionError",
    "Identity",
    "InvalidPayload",
    "JoinRoom",
    "LeaveRoom",
    "ListConversations",
    "MarkRead",
    "Message",
    "NotAMember",
    "Pair",
    "Person",
    "Position",
    "QueuedMessage",
    "RateLimited",
    "RefreshToken",
    "Room",
    "SendMessage",
    "Settings",
    "SettingsError",
    "StartTyping",
    "StopTyping",
    "TokenExpired",
    "TokenRejected",
    "TooManyConnections",
    "Unauthenticated",
    "Unavailable",
    "UnknownCommand",
    "Window",
    "WrongEventLoopError",
    "add_chat",
    "chat_of",
    "create_socketio_app",
    "get_chat",
    "handle_chat_error",
    "operations_app",
]
