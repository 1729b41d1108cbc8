"""Messages that share transactions, compared with a model that stores one after the other."""

import asyncio
from collections import deque

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socketio_app.application.commands import Actor
from socketio_app.application.events import MessageSent
from socketio_app.domain.errors import Conflict, Unavailable
from socketio_app.domain.messaging import Stored
from tests.builders import ADA, BOB, personal
from tests.chat_harness import LiveChat
from tests.grouping import MAX_WAITING, UNSTORABLE, GroupingStore


@attrs.frozen
class Sent:
    content: str
    client_message_id: str | None


class GroupedSendsMachine(RuleBasedStateMachine):
    """Ada sends to Bob; transactions wait, succeed or fail as the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = GroupingStore()
        self.live = LiveChat(store=self.store)
        self.ada, self.bob = (
            self.loop.run_until_complete(self.live.connect(u)) for u in (ADA, BOB)
        )
        self.outcomes: list[Stored | Exception] = []
        # The model.
        self.waiting: deque[Sent] = deque()
        self.expected: list[tuple[str, bool] | type[Exception]] = []
        self.stored: dict[str, str] = {}
        self.received: list[str] = []

    def teardown(self) -> None:
        self.commit(is_down=False)
        self.loop.close()

    @rule(
        content=st.sampled_from(["one", "two", "three", UNSTORABLE, " "]),
        client_message_id=st.sampled_from([None, "a", "b", "c"]),
    )
    def send(self, content: str, client_message_id: str | None) -> None:
        async def begin() -> bool:
            return self.live.chat.grouped_sends.begin(
                Actor(ADA, self.ada.connection_id),
                personal(BOB, content, client_message_id),
                self.outcomes.append,
            )

        has_begun = self.loop.run_until_complete(begin())

        if content == " ":
            assert not has_begun
        elif has_begun:
            self.waiting.append(Sent(content, client_message_id))
        else:
            assert len(self.waiting) >= MAX_WAITING

    @rule(is_down=st.booleans())
    def commit(self, is_down: bool) -> None:
        async def commit() -> None:
            self.store.messages.is_down = is_down
            self.store.messages.may_commit.set()
            await self.store.messages.commits.drain()
            await asyncio.sleep(0)
            self.store.messages.may_commit.clear()

        while self.waiting:
            self._note(self.waiting.popleft(), is_down=is_down)
        self.loop.run_until_complete(commit())

    def _note(self, sent: Sent, *, is_down: bool) -> None:
        """Store a message in the model."""
        first = None if sent.client_message_id is None else self.stored.get(sent.client_message_id)
        if is_down:
            self.expected.append(Unavailable)
        elif sent.content == UNSTORABLE:
            self.expected.append(ValueError)
        elif first is None:
            if sent.client_message_id is not None:
                self.stored[sent.client_message_id] = sent.content
            self.received.append(sent.content)
            self.expected.append((sent.content, False))
        else:
            self.expected.append((first, True) if first == sent.content else Conflict)

    @invariant()
    def outcomes_are_those_of_the_model_in_order(self) -> None:
        found = [
            (each.message.content, each.duplicate) if isinstance(each, Stored) else type(each)
            for each in self.outcomes
        ]
        assert found == self.expected

    @invariant()
    def recipient_gets_each_message_once_in_order(self) -> None:
        messages = [event.message for event in self.bob.of(MessageSent)]
        assert [message.content for message in messages] == self.received
        assert [message.seq for message in messages] == list(range(1, len(messages) + 1))


GroupedSendsMachine.TestCase.settings = settings(stateful_step_count=30)
TestGroupedSends = GroupedSendsMachine.TestCase
