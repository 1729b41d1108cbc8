"""Messages of host transactions are sent once their commit is over, whatever fails."""

import logging
from datetime import timedelta

import pytest
from anyio import wait_all_tasks_blocked

from socketio_app.application import host_transactions
from socketio_app.application.events import MessageSent
from socketio_app.application.host_transactions import MAX_CHECK_DELAY, SECOND_LOOK_DELAY
from socketio_app.application.outbox import HostConnectionError
from socketio_app.application.repairs import RETRY_DELAY
from socketio_app.application.store_capabilities import StoreCapabilities
from socketio_app.domain.conversations import Person, Room
from socketio_app.domain.errors import ContentTooLong, InvalidPayload, NotAMember, Unavailable
from socketio_app.domain.identifiers import ClientMessageId
from tests.builders import ADA, BOB, personal
from tests.chat_harness import Device, LiveChat
from tests.host_transaction import HostTransaction, MemoryOutbox
from tests.stores import HookedStore, Outage

pytestmark = pytest.mark.anyio

MOMENT = timedelta(milliseconds=1)


class Faults(Outage):
    """An outage that also makes the next of some calls raise what nobody expects."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()

    async def __call__(self, call: str) -> None:
        if call in self.broken:
            self.broken.discard(call)
            raise ValueError("a fault")
        await super().__call__(call)


class Setting:
    """A chat with an outbox, Bob's connection, and outages of both."""

    def __init__(self) -> None:
        self.outage = Faults()
        self.late = Outage()
        self.outbox = MemoryOutbox(self.outage)
        self.store = HookedStore(before=self.outage, after=self.late)
        self.store.capabilities = StoreCapabilities(outbox=self.outbox)
        self.live = LiveChat(store=self.store)
        self.bob: Device

    def transaction(self) -> HostTransaction:
        return HostTransaction(self.outbox)

    async def send(
        self, transaction: HostTransaction, content: str, client_message_id: str | None = None
    ) -> None:
        await self.live.chat.send(
            ADA,
            Person(BOB),
            content,
            client_message_id=client_message_id,
            connection=transaction,
        )

    async def wait(self, delay: timedelta = MOMENT) -> None:
        await wait_all_tasks_blocked()
        self.live.clock.advance(delay)
        await wait_all_tasks_blocked()

    def received(self) -> list[tuple[int, str]]:
        return [(each.message.seq, each.message.content) for each in self.bob.of(MessageSent)]


@pytest.fixture
async def setting() -> Setting:
    setting = Setting()
    setting.bob = await setting.live.connect(BOB)
    await wait_all_tasks_blocked()
    return setting


async def test_message_is_broadcast_after_the_commit_only(setting: Setting) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    await setting.wait()
    assert setting.received() == []

    transaction.commit()
    await setting.wait()

    assert setting.received() == [(1, "Hello")]
    assert setting.outbox.drafts == {}


async def test_message_waits_until_the_announced_commit_is_over(setting: Setting) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    transaction.begin_commit()
    await setting.wait(10 * MAX_CHECK_DELAY)
    assert setting.received() == []

    transaction.end_commit()
    await setting.wait(MAX_CHECK_DELAY)

    assert setting.received() == [(1, "Hello")]


async def test_messages_are_sent_in_the_order_of_the_commits(setting: Setting) -> None:
    first, second = setting.transaction(), setting.transaction()
    await setting.send(first, "1")
    await setting.send(second, "2")
    await setting.send(first, "3")

    second.commit()
    first.commit()
    await setting.wait()

    assert setting.received() == [(1, "2"), (2, "1"), (3, "3")]


async def test_more_messages_than_a_batch_are_sent_in_order(setting: Setting) -> None:
    transaction = setting.transaction()
    contents = [str(number) for number in range(host_transactions.MAX_BATCH + 5)]
    for content in contents:
        await setting.send(transaction, content)

    transaction.commit()
    await setting.wait()

    assert [content for _, content in setting.received()] == contents


async def test_more_committed_messages_than_memory_holds_are_read_from_the_outbox(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_transactions, "MAX_WAITING", 3)
    transaction = setting.transaction()
    for number in range(5):
        await setting.send(transaction, str(number))

    transaction.commit()
    await setting.wait()

    assert [content for _, content in setting.received()] == list("01234")


async def test_message_whose_commit_failed_is_not_sent(setting: Setting) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")

    transaction.begin_commit()
    transaction.end_commit(fails=True)
    await setting.wait()
    await setting.wait(2 * SECOND_LOOK_DELAY)

    assert setting.received() == []


async def test_message_that_the_database_commits_after_a_lost_connection_is_sent(
    setting: Setting,
) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    transaction.begin_commit()
    transaction.is_over = True
    await setting.wait()
    assert setting.received() == []

    transaction.end_commit()
    await setting.wait(SECOND_LOOK_DELAY)

    assert setting.received() == [(1, "Hello")]


@pytest.mark.parametrize("call", ["find", "append", "remove"])
async def test_message_is_sent_once_when_the_store_is_available_again(
    setting: Setting, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    setting.outage.down = {call}
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    transaction.commit()
    await setting.wait()
    await setting.wait(RETRY_DELAY)

    setting.outage.down = set()
    await setting.wait(RETRY_DELAY)

    assert setting.received() == [(1, "Hello")]
    assert setting.outbox.drafts == {}
    assert [each.message for each in caplog.records].count(
        "cannot send messages of host transactions yet: the store is down"
    ) == 1


async def test_message_is_broadcast_once_if_the_reply_to_its_append_is_lost(
    setting: Setting,
) -> None:
    setting.late.down = {"append"}
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    transaction.commit()
    await setting.wait()
    assert setting.received() == []

    setting.late.down = set()
    await setting.wait(RETRY_DELAY)
    await setting.wait()

    assert setting.received() == [(1, "Hello")]
    assert setting.outbox.drafts == {}


async def test_message_of_an_earlier_process_is_sent_at_the_start() -> None:
    earlier, later = Setting(), Setting()
    await earlier.live.connect(BOB)
    transaction = earlier.transaction()
    await earlier.send(transaction, "Hello")
    transaction.end_commit()  # the process ends before it notices
    later.outbox.drafts = earlier.outbox.drafts

    later.bob = await later.live.connect(BOB)
    await later.wait()

    assert later.received() == [(1, "Hello")]
    assert later.outbox.drafts == {}


async def test_message_that_was_appended_before_a_crash_is_not_stored_again() -> None:
    setting = Setting()
    transaction = setting.transaction()
    await setting.live.connect(BOB)
    await setting.send(transaction, "Hello")
    await setting.store.messages.append(transaction.drafts[0])
    transaction.end_commit()

    setting.live.chat.close()
    setting.live.chat.open()
    await setting.wait()

    assert await setting.store.messages.last_seq(transaction.drafts[0].conversation) == 1
    assert setting.outbox.drafts == {}


async def test_message_that_is_committed_after_the_chat_closed_is_sent_at_the_next_start(
    setting: Setting,
) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")
    setting.live.chat.close()
    transaction.commit()
    await setting.wait()
    assert setting.received() == []

    setting.live.chat.open()
    await setting.wait()

    assert setting.received() == [(1, "Hello")]


async def test_nothing_is_read_from_the_store_after_the_chat_closed(setting: Setting) -> None:
    calls: list[str] = []

    async def note(call: str) -> None:
        calls.append(call)

    setting.outbox._before = note
    setting.live.chat.open()
    setting.live.chat.close()
    await setting.wait()

    assert calls == []


async def test_message_is_dropped_if_its_client_message_id_was_used_meanwhile(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "from the transaction", "1")
    await setting.live.host(ADA, personal(BOB, "sent first", "1"))
    transaction.commit()
    await setting.wait()

    assert setting.received() == [(1, "sent first")]
    assert setting.outbox.drafts == {}
    assert "its client_message_id was used" in caplog.text
    assert "from the transaction" not in caplog.text


async def test_message_that_cannot_be_stored_stays_in_the_outbox_and_delays_no_other(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.outage.broken = {"append"}
    transaction = setting.transaction()
    await setting.send(transaction, "bad")
    await setting.send(transaction, "good")
    transaction.commit()
    await setting.wait()

    assert setting.received() == [(1, "good")]
    assert [each.content for each in setting.outbox.drafts.values()] == ["bad"]
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1


async def test_message_without_a_client_message_id_gets_its_message_id(setting: Setting) -> None:
    transaction = setting.transaction()
    await setting.send(transaction, "Hello")

    (draft,) = transaction.drafts
    assert draft.client_message_id == ClientMessageId(draft.message_id)


async def test_rules_for_messages_apply_in_a_transaction(setting: Setting) -> None:
    chat, transaction = setting.live.chat, setting.transaction()

    with pytest.raises(NotAMember):
        await chat.send(ADA, Room("lobby"), "Hello", connection=transaction)
    with pytest.raises(InvalidPayload):
        await setting.send(transaction, " ")
    with pytest.raises(ContentTooLong):
        await setting.send(transaction, "x" * 100_000)
    chat.close()
    with pytest.raises(Unavailable):
        await setting.send(transaction, "Hello")
    assert transaction.drafts == []


async def test_store_without_transactions_rejects_connections() -> None:
    live = LiveChat()
    await live.connect(BOB)

    with pytest.raises(HostConnectionError, match="DATABASE_URL"):
        await live.chat.send(ADA, Person(BOB), "Hello", connection=HostTransaction(MemoryOutbox()))
