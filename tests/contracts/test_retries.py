"""Retries with other content, on every store."""

import asyncio

import pytest

from socketio_app.application.ports import Store
from socketio_app.domain.conversations import Pair
from socketio_app.domain.errors import Conflict
from socketio_app.domain.messaging import Stored
from tests.builders import ADA, BOB, personal
from tests.chat_harness import LiveChat

pytestmark = pytest.mark.anyio

CONTENT = ' \u0000 "é" 👩‍👩‍👧 '


async def test_retry_with_other_content_is_a_conflict(store: Store) -> None:
    live = LiveChat(store=store)
    first = await live.host(ADA, personal(BOB, CONTENT, "m1"))

    for changed in (CONTENT + "!", CONTENT.strip(), "e"):
        with pytest.raises(Conflict):
            await live.host(ADA, personal(BOB, changed, "m1"))

    retry = await live.host(ADA, personal(BOB, CONTENT, "m1"))
    assert (retry.message, retry.duplicate) == (first.message, True)
    assert await store.messages.last_seq(Pair.of(ADA, BOB)) == 1


async def test_concurrent_retries_with_different_content_store_one_message(store: Store) -> None:
    live = LiveChat(store=store)

    outcomes = await asyncio.gather(
        *[live.host(ADA, personal(BOB, f"content {number}", "m1")) for number in range(4)],
        return_exceptions=True,
    )

    assert sum(isinstance(each, Stored) for each in outcomes) == 1
    assert sum(isinstance(each, Conflict) for each in outcomes) == 3
    assert await store.messages.last_seq(Pair.of(ADA, BOB)) == 1
