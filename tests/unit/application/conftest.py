"""The chat that use cases are tried on: everything real but the time and the sockets."""

import pytest

from tests.chat_harness import LiveChat


@pytest.fixture
def live() -> LiveChat:
    return LiveChat()
