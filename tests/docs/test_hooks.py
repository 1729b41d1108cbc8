"""The page about hooks agrees with the code."""

import asyncio
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from socketio_app import Hooks, Message
from tests.e2e.clients import PythonClient
from tests.e2e.serving import serving
from tests.tokens import SECRET, token

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()


def names_in_section(title: str) -> set[str]:
    section = PAGE.partition(f"| {title} |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))


def snippet(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    monkeypatch.setenv("SECRET_KEY", SECRET)
    module = tmp_path / "module.py"
    module.write_text(found[1])
    return runpy.run_path(str(module))


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not met():
            await asyncio.sleep(0.001)


def test_page_has_every_hook_and_every_bound_with_its_default() -> None:
    fields = {field.name: field for field in attrs.fields(Hooks)}

    assert names_in_section("hook") | names_in_section("argument") == set(fields)
    for name in names_in_section("argument"):
        assert f"| `{name}` | {fields[name].default:,} |" in PAGE


def test_page_has_every_field_of_a_message() -> None:
    for field in Message.__struct_fields__:
        assert f"`{field}`" in PAGE


@pytest.mark.anyio
async def test_hooks_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = snippet("hooks", tmp_path, monkeypatch)

    async with serving(module["app"]) as url:
        ada = await PythonClient().open(url, "websocket", {"auth": {"token": token("ada")}})
        await ada.call("send_personal_message", {"to_user_id": "bob", "content": "Hello"})
        await until(lambda: module["numbers_of_messages"] == {"ada": 1})
        await until(lambda: module["online"] == {"ada"})
        await ada.close()
        await until(lambda: module["online"] == set())
