"""HTTP responses to polling requests and WebSocket handshakes."""

from typing import Any

DENIAL = "websocket.http.response"
"""ASGI extension "Websocket Denial Response": an HTTP response to a WebSocket handshake."""


async def make_response(
    status: str, headers: list[tuple[str, str]], body: bytes, environ: dict[str, Any]
) -> None:
    """Send an HTTP response, also to a WebSocket handshake if the server supports that.

    Other servers reject the handshake with status 403.
    """
    scope, send = environ["asgi.scope"], environ["asgi.send"]
    kind = "http.response"
    if scope["type"] == "websocket":
        if DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "reason": body.decode()})
            return
        kind = DENIAL
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    start = {"type": f"{kind}.start", "status": int(status.split(" ")[0]), "headers": encoded}
    await send(start)
    await send({"type": f"{kind}.body", "body": body})
