"""The chat for tests of use cases: everything is real except the clock and the sockets."""

import pytest

from tests.chat_harness import LiveChat


@pytest.fixture
def live() -> LiveChat:
    return LiveChat()
