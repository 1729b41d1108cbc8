"""The chat."""

from typing import get_args

import pytest

from socketio_app.application.commands import CommandKind, all_commands
from tests.builders import ADA, BOB
from tests.chat_harness import LiveChat

pytestmark = pytest.mark.anyio


async def test_connection_count_is_number_of_open_connections(live: LiveChat) -> None:
    counts = [live.chat.connection_count]

    laptop, phone, _ = [await live.connect(user) for user in (ADA, ADA, BOB)]
    counts.append(live.chat.connection_count)
    phone.close()
    counts.append(live.chat.connection_count)
    laptop.close()
    counts.append(live.chat.connection_count)

    assert counts == [0, 3, 2, 1]


async def test_every_command_has_use_case_and_kind() -> None:
    live = LiveChat()

    commands = set(all_commands())

    assert commands == set(live.chat._use_cases)
    assert {command.kind for command in commands} == set(get_args(CommandKind))
