"""Alembic's environment script: runs the migrations on the given connection."""

from alembic import context

from socketio_app.adapters.sql.migrations import VERSION_TABLE
from socketio_app.adapters.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
