"""What is served beside the chat over plain HTTP."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from socketio_app.application.readiness import Readiness

_NOT_KEPT = {"cache-control": "no-store"}


async def healthz(_request: Request) -> Response:
    """Say that the process is alive and its event loop turns."""
    return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)


HEALTH = Route("/healthz", healthz)
"""`GET /healthz`"""


def ready(readiness: Readiness) -> Route:
    """`GET /readyz`: whether new clients should come; 503, and why, where they should not."""

    async def readyz(_request: Request) -> Response:
        obstacle = await readiness.obstacle()
        if obstacle is None:
            return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)
        refusal = {"status": "unavailable", "reason": obstacle}
        return JSONResponse(refusal, status_code=503, headers=_NOT_KEPT)

    return Route("/readyz", readyz)
