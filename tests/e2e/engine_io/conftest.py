"""Fixtures of a server whose Engine.IO sessions are tested, taken over from uvicorn or as ASGI."""

from collections.abc import AsyncIterator

import pytest

from socketio_app.adapters.websocket.uvicorn_protocol import TakeoverProtocol
from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.engine_io.shared import SETTINGS
from tests.e2e.serving import serving


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["takeover", "asgi"])
async def url(request: pytest.FixtureRequest, composition: Composition) -> AsyncIterator[str]:
    async with serving(application(composition), request.param) as base_url:
        yield base_url
