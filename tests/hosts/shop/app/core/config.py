"""The settings, from the environment and `.env`. The chat reads the same object."""

from typing import Annotated

from pydantic import AnyHttpUrl, AnyUrl, PostgresDsn, SecretStr, UrlConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

SqliteDsn = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["sqlite"])]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    PROJECT_NAME: str = "Shop"
    API_V1_STR: str = "/api/v1"
    SECRET_KEY: SecretStr
    ALGORITHM: str = "HS256"
    ACCESS_TOKEN_EXPIRE_MINUTES: int = 60 * 24 * 8
    JWT_AUDIENCE: str | None = None
    SESSION_COOKIE: str | None = None
    """Name of an HttpOnly cookie with the access token, for browsers."""
    WORKER_KEY: SecretStr
    """Key of the worker for the routes in `api/routes/worker.py`."""
    DATABASE_URL: PostgresDsn | SqliteDsn
    """`postgresql+psycopg://...` or `sqlite:///shop.db`."""
    BACKEND_CORS_ORIGINS: list[AnyHttpUrl] = []

    @property
    def cors_origins(self) -> list[str]:
        return [str(origin).rstrip("/") for origin in self.BACKEND_CORS_ORIGINS]


settings = Settings()  # type: ignore[call-arg]  # from the environment
