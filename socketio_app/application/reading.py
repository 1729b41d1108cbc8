"""The use cases of reading: history, one's conversations, what one has missed, and receipts."""

from collections.abc import Mapping, Sequence

from socketio_app.application.authorization import conversation_for
from socketio_app.application.catching_up import CatchingUp
from socketio_app.application.commands import (
    Actor,
    CatchUp,
    CaughtUp,
    ConversationPage,
    ConversationSummary,
    FetchHistory,
    ListConversations,
    MarkRead,
    Missed,
    ReadMarked,
)
from socketio_app.application.events import Audience, Members, MessageRead, Users
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Broadcast, Clock, Store
from socketio_app.domain.activity import Since
from socketio_app.domain.conversations import Conversation, Room, conversation_of
from socketio_app.domain.history import ConversationState, Page, Recent
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message, content_bytes, newest_within

MAX_UNREAD_COUNT = 1000
"""Greatest unread count in an answer."""

MAX_ANSWER_BYTES = 1_048_576
"""How much content one answer carries; clients have limits of their own, of 4 MiB for example."""

STANDINGS_AT_ONCE = 500
"""Of how many conversations it is looked up at a time whether they have news."""


class Reading:
    """Reads what is stored."""

    def __init__(self, store: Store, broadcast: Broadcast, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._broadcast = broadcast
        self._clock = clock
        self._receipt_members = limits.receipt_room_members
        self._most_missed = limits.catch_up_messages
        self._catching_up = CatchingUp(store.activity, limits.catch_up_messages, MAX_ANSWER_BYTES)

    async def fetch_history(self, actor: Actor, command: FetchHistory) -> Page:
        """Give a page of a conversation.

        Raises:
            NotAMember: the target is a room that the actor is not in.
            Unavailable: it cannot be read now.
        """
        conversation = await conversation_for(self._store.rooms, actor.user_id, command.target)
        page = await self._store.messages.page(conversation, command.window)
        return page.within(MAX_ANSWER_BYTES, command.window)

    async def list_conversations(
        self, actor: Actor, command: ListConversations
    ) -> ConversationPage:
        """Give the actor's conversations, those with the newest activity first.

        A page ends before `limit` where the newest messages are more than one answer carries.

        Raises:
            Unavailable: they cannot be read now.
        """
        user_id, limit = actor.user_id, command.limit
        found = await self._store.conversations.recent(user_id, limit + 1, command.cursor)
        shown = found[: min(limit, _fitting(found))]
        summaries = [
            ConversationSummary(
                each.state, each.last_message, min(each.state.unread_count, MAX_UNREAD_COUNT)
            )
            for each in shown
        ]
        has_more = len(found) > len(shown)
        return ConversationPage(summaries, shown[-1].state.activity if has_more else None)

    async def catch_up(self, actor: Actor, command: CatchUp) -> CaughtUp:
        """Give what the actor's client does not have, of all their conversations at once.

        Of each at most `limit` messages, the newest, and of all together as many as one answer
        carries. What is left out is marked.

        Raises:
            Unavailable: it cannot be read now.
        """
        since, epoch = command.since, self._store.epoch
        if command.epoch != epoch or (since is not None and since.epoch != epoch):
            return CaughtUp(recovered=False)
        had = {
            conversation_of(actor.user_id, position.target): position.seq
            for position in command.positions
        }
        if since is not None:
            return await self._catching_up.since(actor.user_id, since, had, command.limit)
        settled = (await self._store.activity.mark()).settled
        news, has_more = await self._news(actor.user_id, had)
        given = _as_many_as_fit(news, had, command.limit, self._most_missed)
        beyond = [(each.conversation, had.get(each.conversation, 0)) for each in given]
        messages = await self._store.messages.newest(beyond, command.limit)
        messages = _within_an_answer([*messages, *[()] * (len(news) - len(given))])
        missed = [
            Missed(state, of_it, limited=_has_a_hole(of_it, had.get(state.conversation, 0)))
            for state, of_it in zip(news, messages, strict=True)
        ]
        if has_more:
            settled = 0  # conversations that were not read may be as old as the store
        next_since = None if settled is None else Since.at(epoch, settled)
        return CaughtUp(recovered=True, conversations=missed, has_more=has_more, since=next_since)

    async def mark_read(self, actor: Actor, command: MarkRead) -> ReadMarked:
        """Note how far the actor has read, and tell those who may know.

        Raises:
            NotAMember: the target is a room that the actor is not in.
            Unavailable: nothing was stored and nobody was told.
        """
        conversation = await conversation_for(self._store.rooms, actor.user_id, command.target)
        # First: what is stored must be told.
        witnesses = await self._witnesses(actor, conversation)
        read = await self._store.conversations.mark_read(actor.user_id, conversation, command.seq)
        if read.moved:
            event = MessageRead(actor.user_id, conversation, read.read_seq, self._clock.now())
            self._broadcast.publish(event, witnesses)
        return ReadMarked(read.read_seq)

    async def _news(
        self, user_id: UserId, had: Mapping[Conversation, int]
    ) -> tuple[Sequence[ConversationState], bool]:
        """The conversations with more than the client has; and whether there are others still."""
        news: dict[Conversation, ConversationState] = {}
        newest: int | None = None
        before: int | None = None
        while len(news) < STANDINGS_AT_ONCE:
            found = await self._store.conversations.of_user(user_id, STANDINGS_AT_ONCE, before)
            if before is None and found:
                newest = found[0].activity
            news.update(_with_news(found, had))
            if len(found) < STANDINGS_AT_ONCE:
                if before is not None:
                    await self._add_what_moved(user_id, had, newest or 0, news)
                return _newest_first(news), False
            before = found[-1].activity
        return _newest_first(news), True

    async def _add_what_moved(
        self,
        user_id: UserId,
        had: Mapping[Conversation, int],
        newest: int,
        news: dict[Conversation, ConversationState],
    ) -> None:
        """Add what got news while the pages were read, and so moved out of those still to come."""
        before: int | None = None
        while True:
            found = await self._store.conversations.of_user(user_id, STANDINGS_AT_ONCE, before)
            moved = [each for each in found if each.activity > newest]
            news.update(_with_news(moved, had))
            if len(moved) < STANDINGS_AT_ONCE:
                return
            before = moved[-1].activity

    async def _witnesses(self, actor: Actor, conversation: Conversation) -> Audience:
        """Who is told how far somebody has read: in a large room, only their own connections."""
        reader, reading = actor.user_id, actor.connection_id
        if not isinstance(conversation, Room):
            users = tuple({conversation.first, conversation.second})
            return Users(users, except_connection=reading)
        if await self._store.rooms.member_count(conversation.room_id) <= self._receipt_members:
            return Members(conversation.room_id, except_connection=reading)
        return Users((reader,), except_connection=reading)


def _as_many_as_fit(
    news: Sequence[ConversationState], had: Mapping[Conversation, int], limit: int, most: int
) -> Sequence[ConversationState]:
    """The first of the conversations, as many as have `most` messages to give between them."""
    messages = 0
    for count, state in enumerate(news):
        messages += min(limit, state.last_seq - had.get(state.conversation, 0))
        if messages > most:
            return news[:count]
    return news


def _with_news(
    states: Sequence[ConversationState], had: Mapping[Conversation, int]
) -> dict[Conversation, ConversationState]:
    """Those of the conversations in which there is more than the client has."""
    return {
        each.conversation: each for each in states if each.last_seq > had.get(each.conversation, 0)
    }


def _newest_first(news: Mapping[Conversation, ConversationState]) -> Sequence[ConversationState]:
    return sorted(news.values(), key=lambda state: -state.activity)


def _within_an_answer(found: Sequence[Sequence[Message]]) -> Sequence[Sequence[Message]]:
    """Of each conversation the newest messages, as far as one answer carries them."""
    left = MAX_ANSWER_BYTES
    within: list[Sequence[Message]] = []
    for messages in found:
        newest = newest_within(messages, left)
        within.append(newest)
        # What one did not get, the next must not: the answer is newest first.
        left = left - content_bytes(newest) if len(newest) == len(messages) else 0
    return within


def _fitting(found: Sequence[Recent]) -> int:
    """How many of the conversations one answer carries; at least one, if there is one."""
    left = MAX_ANSWER_BYTES
    for count, each in enumerate(found):
        left -= content_bytes((each.last_message,)) if each.last_message else 0
        if left < 0:
            return max(count, 1)
    return len(found)


def _has_a_hole(messages: Sequence[Message], had_seq: int) -> bool:
    return not messages or messages[0].seq > had_seq + 1
