"""The reference host whose browsers stay logged in with an HttpOnly cookie."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.clients import Rejected, until
from tests.hosts.deployment import FRONT_END, Shop, deploy, received

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    host = deploy(folder, f"sqlite:///{folder}/shop.db", more={"SESSION_COOKIE": "session"})
    await host.succeeds("alembic", "upgrade", "head")
    async with host.serving("uvicorn", "app.main:app") as running:
        yield running


async def test_login_cookie_connects_browser(shop: Shop) -> None:
    customer = await shop.new_customer()
    cookie, *attributes = customer.cookie.split("; ")
    assert "HttpOnly" in attributes

    headers = {"Cookie": cookie, "Origin": FRONT_END}
    async with customer.connected(extraHeaders=headers) as client:
        await customer.request("POST", "/orders", item="pen")
        await until(client, "receive_personal_message", 2)
        assert "Thank you!" in received(client)


async def test_token_of_login_connects_other_clients(shop: Shop) -> None:
    customer = await shop.new_customer()

    async with customer.connected("upgrade"):
        pass


@pytest.mark.parametrize("cookie", ["", "session=forged"])
async def test_client_without_login_is_rejected(shop: Shop, cookie: str) -> None:
    customer = await shop.new_customer()

    with pytest.raises(Rejected):
        async with customer.connected(extraHeaders={"Cookie": cookie}):
            pass
