"""Windows and pages of a conversation."""

import json

import pytest

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Message, content_bytes
from tests.builders import draft


def messages(*contents: str) -> list[Message]:
    return [draft(content=content).at(seq) for seq, content in enumerate(contents, 1)]


def test_before_seq_and_after_seq_are_mutually_exclusive() -> None:
    with pytest.raises(InvalidPayload) as rejected:
        Window(before_seq=9, after_seq=3)

    assert rejected.value.field == "after_seq"
    assert rejected.value.message == "before_seq and after_seq are mutually exclusive"


def test_limit_out_of_bounds_names_bounds() -> None:
    with pytest.raises(InvalidPayload) as rejected:
        Window(limit=201)

    assert rejected.value.field == "limit"
    assert rejected.value.message == "limit must be between 1 and 200"


@pytest.mark.parametrize(("window", "nearest"), [(Window(after_seq=0), 0), (Window(), 2)])
def test_page_keeps_one_message_of_any_size(window: Window, nearest: int) -> None:
    found = messages("x" * 100, "y" * 100, "z" * 100)
    page = Page(found, has_more=False, last_seq=3)

    assert page.within(10, window) == Page([found[nearest]], has_more=True, last_seq=3)


@pytest.mark.parametrize("content", ["hello", "\n", "\x01", '"\\', "é\u2028", "\x1f\t\x00 x"])
def test_content_size_is_size_of_json(content: str) -> None:
    as_json = json.dumps(content, ensure_ascii=False).removeprefix('"').removesuffix('"')

    assert content_bytes(messages(content)) == len(as_json.encode())
