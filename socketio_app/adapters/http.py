"""What is served beside the chat over plain HTTP."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def healthz(_request: Request) -> Response:
    """Say that the process is alive and its event loop turns."""
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


HEALTH = Route("/healthz", healthz)
"""`GET /healthz`"""
