"""A chat whose tokens are verified with keys that the issuer publishes."""

import time
from typing import Any

import pytest

from socketio_app.entrypoints.settings import Settings
from socketio_app.main import create_socketio_app
from tests.e2e.clients import PythonClient, Rejected, until
from tests.e2e.serving import serving
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    PrivateKey,
    private_pem,
    signed,
    web_key,
    web_key_set,
)
from tests.unit.adapters.jwt.key_server import failing, key_server, publishing

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def auth(user: str, key: PrivateKey, algorithm: str, kid: str) -> dict[str, Any]:
    header = {"alg": algorithm, "kid": kid}
    claims = {"sub": user, "exp": time.time() + 3600}
    return {"auth": {"token": signed(header, claims, private_pem(key), algorithm)}}


async def connects(url: str, auth: dict[str, Any]) -> str:
    """Connect; return the user."""
    client = await PythonClient().open(url, "websocket", auth)
    user: str = (await until(client, "connected"))["user_id"]
    await client.close()
    return user


async def test_chat_follows_the_rotation_of_keys_and_outlives_their_server() -> None:
    old, new = web_key(RSA_KEY, kid="old"), web_key(EC_KEY, kid="new")
    with key_server(publishing(web_key_set(old))) as issuer:
        settings = Settings(jwt_jwks_url=issuer.url, algorithm="RS256,ES256")
        async with serving(create_socketio_app(settings=settings)) as url:
            assert await connects(url, auth("ada", RSA_KEY, "RS256", "old")) == "ada"

            issuer.behave = publishing(web_key_set(old, new))
            assert await connects(url, auth("bob", EC_KEY, "ES256", "new")) == "bob"

            issuer.behave = failing(503)
            assert await connects(url, auth("ada", RSA_KEY, "RS256", "old")) == "ada"


async def test_clients_are_told_to_retry_while_there_are_no_keys() -> None:
    with key_server(failing(503)) as issuer:
        settings = Settings(jwt_jwks_url=issuer.url, algorithm="RS256")
        async with serving(create_socketio_app(settings=settings)) as url:
            with pytest.raises(Rejected) as rejected:
                await connects(url, auth("ada", RSA_KEY, "RS256", "old"))

    assert rejected.value.data["code"] == "unavailable"
