"""Endpoints for operators, to be mounted in a host application or served on another port."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from socketio_app.adapters.http import HEALTH_ROUTE, create_ready_route
from socketio_app.adapters.prometheus import metrics_route
from socketio_app.application.chat import Chat


def operations_app(chat: Chat) -> Starlette:
    """Create an ASGI application with the health checks and metrics of a chat.

    It serves `/healthz`, `/readyz` and, if the chat collects metrics (`add_chat(app,
    metrics=True)`), `/metrics`. Mount it where only operators can reach it:
    `app.mount("/internal", operations_app(chat))`.
    """
    routes: list[BaseRoute] = [HEALTH_ROUTE, create_ready_route(chat.readiness)]
    if chat.metrics is not None:
        routes.append(metrics_route(chat.metrics))
    return Starlette(routes=routes)
