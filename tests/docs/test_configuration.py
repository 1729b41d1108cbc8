"""The table of settings agrees with the code."""

import re
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import text

from socketio_app.entrypoints.limit_settings import LimitSettings
from socketio_app.entrypoints.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def row(field: "attrs.Attribute[Any]") -> str:
    """Return a setting's row in the table."""
    default = "" if field.default in {None, ""} else f"`{field.default}`"
    return f"| `{field.name.upper()}` | {default} | {field.metadata['meaning']} |"


def is_limit(field: "attrs.Attribute[Any]") -> bool:
    """Limits come last in the table."""
    return field.name in {limit.name for limit in attrs.fields(LimitSettings)}


def test_table_has_every_setting_with_its_default_and_description() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]

    fields: Sequence[attrs.Attribute[Any]] = attrs.fields(Settings)
    assert rows == [row(field) for field in sorted(fields, key=is_limit)]


@pytest.mark.anyio
async def test_connections_of_the_sqlite_engine_do_not_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"<!-- snippet: sqlite-engine -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    module = tmp_path / "module.py"
    module.write_text(found.group(1))
    engine = runpy.run_path(str(module))["engine"]

    async with engine.connect() as connection:
        pages = await connection.scalar(text("PRAGMA wal_autocheckpoint"))
    await engine.dispose()

    assert pages == 0
