"""Shared statements, compiled for PostgreSQL."""

from collections.abc import Callable

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement

from socketio_app.adapters.sql import conversation_statements, statements
from socketio_app.adapters.sql.compiled_statement import CompiledStatement

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


class Statement(CompiledStatement):
    """A shared statement for PostgreSQL."""

    def __init__(self, build: Callable[..., ClauseElement]) -> None:
        super().__init__(build, _DIALECT)


CHANGES = Statement(conversation_statements.changes)
CONVERSATION_AT = Statement(statements.conversation_at)
PAGE = Statement(statements.page)
STATES = Statement(conversation_statements.states)
STATES_WITH_MESSAGES = Statement(conversation_statements.states_with_messages)
