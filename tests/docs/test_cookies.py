"""The documented host with cookies works as described."""

import re
import runpy
from pathlib import Path

import pytest

from tests.e2e.clients import PythonClient, Rejected, until
from tests.e2e.serving import serving

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


async def test_session_cookie_connects_and_a_token_does_not(tmp_path: Path) -> None:
    found = re.search(r"<!-- snippet: verify-cookie -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    module = tmp_path / "module.py"
    module.write_text(found.group(1))

    async with serving(runpy.run_path(str(module))["app"]) as url:
        cookie = {"Cookie": "session=opaque-session-id"}
        ada = await PythonClient().open(url, "websocket", {"extraHeaders": cookie})
        assert (await until(ada, "connected"))["user_id"] == "ada"
        await ada.close()

        with pytest.raises(Rejected):
            await PythonClient().open(url, "websocket", {"auth": {"token": "opaque-session-id"}})
