"""What every maker of message ids does."""

from uuid import RFC_4122, UUID

import pytest

from socketio_app.adapters.system import new_message_id
from socketio_app.application.ports import NewMessageId
from tests.chat_harness import numbered_message_ids


def system() -> NewMessageId:
    return new_message_id


@pytest.fixture(params=[system, numbered_message_ids])
def new_id(request: pytest.FixtureRequest) -> NewMessageId:
    made: NewMessageId = request.param()
    return made


def test_no_id_is_made_twice(new_id: NewMessageId) -> None:
    ids = [new_id() for _ in range(10_000)]

    assert len(set(ids)) == len(ids)


def test_ids_rise_also_within_a_millisecond(new_id: NewMessageId) -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(ids)


def test_the_systems_are_uuids_of_version_7() -> None:
    made = new_message_id()

    assert (UUID(made).version, UUID(made).variant) == (7, RFC_4122)
    assert made == str(UUID(made))
