"""Windows of a conversation, and the pages that are read of them."""

import json

import pytest

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.history import Page, Window
from socketio_app.domain.messaging import Message, content_bytes
from tests.builders import draft


def messages(*contents: str) -> list[Message]:
    return [draft(content=content).at(seq) for seq, content in enumerate(contents, 1)]


def test_a_window_is_before_a_place_or_after_one() -> None:
    with pytest.raises(InvalidPayload) as refused:
        Window(before_seq=9, after_seq=3)

    assert refused.value.field == "after_seq"
    assert refused.value.message == "before_seq and after_seq are mutually exclusive"


def test_a_limit_that_is_out_of_bounds_is_told_with_its_bounds() -> None:
    with pytest.raises(InvalidPayload) as refused:
        Window(limit=201)

    assert refused.value.field == "limit"
    assert refused.value.message == "limit must be between 1 and 200"


@pytest.mark.parametrize(("window", "nearest"), [(Window(after_seq=0), 0), (Window(), 2)])
def test_one_message_is_on_the_page_whatever_its_size(window: Window, nearest: int) -> None:
    found = messages("x" * 100, "y" * 100, "z" * 100)
    page = Page(found, has_more=False, last_seq=3)

    assert page.within(10, window) == Page([found[nearest]], has_more=True, last_seq=3)


@pytest.mark.parametrize("content", ["hello", "\n", "\x01", '"\\', "é\u2028", "\x1f\t\x00 x"])
def test_the_size_of_a_content_is_that_of_its_json(content: str) -> None:
    as_json = json.dumps(content, ensure_ascii=False).removeprefix('"').removesuffix('"')

    assert content_bytes(messages(content)) == len(as_json.encode())
