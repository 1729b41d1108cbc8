"""The reference host on each database, served by different commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from tests.databases import empty_database
from tests.e2e import open_clients
from tests.hosts.deployment import Deployment, Shop, deploy

FASTAPI_USERS_AUDIENCE = "fastapi-users:auth"


@attrs.frozen
class Variant:
    """A variant of the host."""

    database: str
    command: tuple[str, ...]
    with_sqlmodel: bool = False
    chat_first: bool = False
    """Whether the chat's tables exist before the host's."""
    settings: dict[str, str] = attrs.field(factory=dict)

    def __str__(self) -> str:
        models = "sqlmodel" if self.with_sqlmodel else "sqlalchemy"
        return f"{models}-{self.database}-{'-'.join(self.command[:2]).replace(':', '.')}"


VARIANTS = [
    Variant("sqlite", ("uvicorn", "app.main:app")),
    Variant("postgresql", ("fastapi", "run")),
    Variant(
        "postgresql",
        ("fastapi", "dev"),
        with_sqlmodel=True,
        chat_first=True,
        settings={"JWT_AUDIENCE": FASTAPI_USERS_AUDIENCE},
    ),
]


@asynccontextmanager
async def database_url(database: str, folder: Path) -> AsyncIterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{folder}/shop.db"
    else:
        async with empty_database() as url:
            yield url


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
async def deployment(
    variant: Variant, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """The host and its database, which is migrated as the README says."""
    folder = tmp_path_factory.mktemp("shop")
    async with database_url(variant.database, folder) as url:
        host = deploy(folder, url, with_sqlmodel=variant.with_sqlmodel, more=variant.settings)
        migrations = [
            ("alembic", "upgrade", "head"),
            ("socketio-app", "migrate", "--settings", "app.core.config:settings"),
        ]
        for migration in reversed(migrations) if variant.chat_first else migrations:
            await host.succeeds(*migration)
        yield host


@pytest.fixture(scope="module")
async def shop(deployment: Deployment, variant: Variant) -> AsyncIterator[Shop]:
    async with deployment.serving(*variant.command) as running:
        yield running


@pytest.fixture(autouse=True)
async def release_clients(anyio_backend: object) -> AsyncIterator[None]:
    """Release the clients that a failed test has left open."""
    open_clients.forget_all()
    yield
    await open_clients.release_all()
