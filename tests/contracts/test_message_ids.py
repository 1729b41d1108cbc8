"""Contract of every generator of message ids."""

from uuid import RFC_4122, UUID

import pytest

from socketio_app.adapters.system import new_message_id
from socketio_app.application.ports import NewMessageId
from tests.chat_harness import numbered_message_ids


def system() -> NewMessageId:
    return new_message_id


@pytest.fixture(params=[system, numbered_message_ids])
def new_id(request: pytest.FixtureRequest) -> NewMessageId:
    new_id: NewMessageId = request.param()
    return new_id


def test_ids_are_unique(new_id: NewMessageId) -> None:
    ids = [new_id() for _ in range(10_000)]

    assert len(set(ids)) == len(ids)


def test_ids_increase_even_within_a_millisecond(new_id: NewMessageId) -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(ids)


def test_system_ids_are_uuids_of_version_7() -> None:
    message_id = new_message_id()

    assert (UUID(message_id).version, UUID(message_id).variant) == (7, RFC_4122)
    assert message_id == str(UUID(message_id))
