"""Fixtures of a server with plain WebSockets."""

from collections.abc import AsyncIterator

import pytest

from socketio_app.entrypoints.asgi import application
from socketio_app.entrypoints.composition import Composition, compose
from tests.e2e.plain_websocket.shared import SETTINGS
from tests.e2e.serving import serving


@pytest.fixture
def composition() -> Composition:
    return compose(SETTINGS)


@pytest.fixture
async def url(composition: Composition) -> AsyncIterator[str]:
    async with serving(application(composition)) as base_url:
        yield base_url
