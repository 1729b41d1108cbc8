"""Migrations of the application's own tables."""

from alembic import context

from app.core.db import engine
from app.models import metadata


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    """Exclude the tables of the chat."""
    return not (type_ == "table" and name is not None and name.startswith("chat_"))


with engine.connect() as connection:
    context.configure(connection, target_metadata=metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()
