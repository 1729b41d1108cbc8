"""The outbox: messages in transactions of the host application."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "chat_outbox",
        sa.Column("message_id", sa.String(36), primary_key=True),
        sa.Column("room_id", sa.LargeBinary),
        sa.Column("to_user_id", sa.LargeBinary),
        sa.Column("from_user_id", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("client_message_id", sa.LargeBinary, nullable=False),
    )
    op.create_index("chat_outbox_retry", "chat_outbox", ["from_user_id", "client_message_id"])
