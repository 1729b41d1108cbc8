"""Health checks over plain HTTP."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from socketio_app.application.readiness import Readiness

_NO_STORE = {"cache-control": "no-store"}


async def healthz(_request: Request) -> Response:
    """Answer 200: the process is alive and its event loop runs."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


HEALTH_ROUTE = Route("/healthz", healthz)
"""`GET /healthz`"""


def create_ready_route(readiness: Readiness) -> Route:
    """Return the route `GET /readyz`: 200 if new clients may connect, else 503 with a reason."""

    async def readyz(_request: Request) -> Response:
        not_ready_reason = await readiness.not_ready_reason()
        if not_ready_reason is None:
            return JSONResponse({"status": "ok"}, headers=_NO_STORE)
        body = {"status": "unavailable", "reason": not_ready_reason}
        return JSONResponse(body, status_code=503, headers=_NO_STORE)

    return Route("/readyz", readyz)
