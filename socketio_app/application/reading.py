"""Reading: history, conversation lists, catching up and read receipts."""

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
    MissedMessages,
    ReadMarked,
)
from socketio_app.application.events import Audience, Members, MessageRead, Users, audience_of
from socketio_app.application.limits import Limits
from socketio_app.application.ports import Broadcast, Clock, Store
from socketio_app.application.use_cases import carries_out
from socketio_app.domain.activity import CatchUpCursor
from socketio_app.domain.conversations import Conversation, conversation_of
from socketio_app.domain.history import ConversationState, Page, Recent
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message, content_bytes, newest_within

MAX_UNREAD_COUNT = 1000
"""Maximum unread count in a result."""

MAX_ANSWER_BYTES = 1_048_576
"""Maximum size of the content in a result. Clients have limits of their own, for example 4 MiB."""

CONVERSATIONS_PER_READ = 500
"""Number of conversations read at a time to find those with missed messages."""


class Reading:
    """Reads messages, conversations and read markers."""

    def __init__(self, store: Store, broadcast: Broadcast, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._broadcast = broadcast
        self._clock = clock
        self._receipt_members = limits.max_receipt_room_members
        self._max_missed = limits.max_catch_up_messages
        self._catching_up = CatchingUp(
            store.activity, limits.max_catch_up_messages, MAX_ANSWER_BYTES
        )

    @carries_out(FetchHistory)
    async def fetch_history(self, actor: Actor, command: FetchHistory) -> Page:
        """Return a page of a conversation.

        Raises:
            NotAMember: the target is a room that the actor is not in.
            Unavailable: the store cannot be read now.
        """
        conversation = await conversation_for(self._store.rooms, actor.user_id, command.target)
        page = await self._store.messages.page(conversation, command.window)
        return page.within(MAX_ANSWER_BYTES, command.window)

    @carries_out(ListConversations)
    async def list_conversations(
        self, actor: Actor, command: ListConversations
    ) -> ConversationPage:
        """Return the actor's conversations, most recently active first.

        A page has fewer than `limit` entries if their messages exceed `MAX_ANSWER_BYTES`.

        Raises:
            Unavailable: the store cannot be read now.
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

    @carries_out(CatchUp)
    async def catch_up(self, actor: Actor, command: CatchUp) -> CaughtUp:
        """Return the messages that the actor's client has missed, in all their conversations.

        At most the `limit` newest messages per conversation, and as many in total as fit in one
        result. Conversations with messages left out are marked as limited.

        Raises:
            Unavailable: the store cannot be read now.
        """
        since, epoch = command.since, self._store.epoch
        if command.epoch != epoch or (since is not None and since.epoch != epoch):
            return CaughtUp(recovered=False)
        known = {
            conversation_of(actor.user_id, position.target): position.seq
            for position in command.positions
        }
        if since is not None:
            return await self._catching_up.since(actor.user_id, since, known, command.limit)
        settled = (await self._store.activity.mark()).settled
        news, has_more = await self._news(actor.user_id, known)
        given = _within_count(news, known, command.limit, self._max_missed)
        beyond = [(each.conversation, known.get(each.conversation, 0)) for each in given]
        messages = await self._store.messages.newest(beyond, command.limit)
        messages = _within_size([*messages, *[()] * (len(news) - len(given))])
        missed = [
            MissedMessages(
                state, newest, limited=_has_hole(newest, known.get(state.conversation, 0))
            )
            for state, newest in zip(news, messages, strict=True)
        ]
        if has_more:
            settled = 0  # conversations that were not read can have any activity
        next_since = None if settled is None else CatchUpCursor.at(epoch, settled)
        return CaughtUp(recovered=True, conversations=missed, has_more=has_more, since=next_since)

    @carries_out(MarkRead)
    async def mark_read(self, actor: Actor, command: MarkRead) -> ReadMarked:
        """Move the actor's read marker, and publish the receipt.

        Raises:
            NotAMember: the target is a room that the actor is not in.
            Unavailable: nothing was stored or published.
        """
        conversation = await conversation_for(self._store.rooms, actor.user_id, command.target)
        # Before the marker is stored: this can fail, and a stored marker must be published.
        audience = await self._receipt_audience(actor, conversation)
        read = await self._store.conversations.mark_read(actor.user_id, conversation, command.seq)
        if read.moved:
            event = MessageRead(actor.user_id, conversation, read.read_seq, self._clock.now())
            self._broadcast.publish(event, audience)
        return ReadMarked(read.read_seq)

    async def _news(
        self, user_id: UserId, known: Mapping[Conversation, int]
    ) -> tuple[Sequence[ConversationState], bool]:
        """Return conversations with messages the client has missed, and whether there are more."""
        news: dict[Conversation, ConversationState] = {}
        newest: int | None = None
        before: int | None = None
        while len(news) < CONVERSATIONS_PER_READ:
            found = await self._store.conversations.of_user(user_id, CONVERSATIONS_PER_READ, before)
            if before is None and found:
                newest = found[0].activity
            news.update(_with_news(found, known))
            if len(found) < CONVERSATIONS_PER_READ:
                if before is not None:
                    await self._add_moved(user_id, known, newest or 0, news)
                return _newest_first(news), False
            before = found[-1].activity
        return _newest_first(news), True

    async def _add_moved(
        self,
        user_id: UserId,
        known: Mapping[Conversation, int],
        newest: int,
        news: dict[Conversation, ConversationState],
    ) -> None:
        """Add conversations that moved to the front while the pages were being read."""
        before: int | None = None
        while True:
            found = await self._store.conversations.of_user(user_id, CONVERSATIONS_PER_READ, before)
            moved = [each for each in found if each.activity > newest]
            news.update(_with_news(moved, known))
            if len(moved) < CONVERSATIONS_PER_READ:
                return
            before = moved[-1].activity

    async def _receipt_audience(self, actor: Actor, conversation: Conversation) -> Audience:
        """Return who gets the read receipt: in a large room, only the reader's connections."""
        reader, reading = actor.user_id, actor.connection_id
        audience = audience_of(conversation, except_connection=reading)
        if isinstance(audience, Members):
            members = await self._store.rooms.member_count(audience.room_id)
            if members > self._receipt_members:
                return Users((reader,), except_connection=reading)
        return audience


def _within_count(
    news: Sequence[ConversationState], known: Mapping[Conversation, int], limit: int, max_count: int
) -> Sequence[ConversationState]:
    """Return the leading conversations that have at most `max_count` missed messages in total."""
    messages = 0
    for count, state in enumerate(news):
        messages += min(limit, state.last_seq - known.get(state.conversation, 0))
        if messages > max_count:
            return news[:count]
    return news


def _with_news(
    states: Sequence[ConversationState], known: Mapping[Conversation, int]
) -> dict[Conversation, ConversationState]:
    """Return the conversations with messages that the client has missed."""
    return {
        each.conversation: each
        for each in states
        if each.last_seq > known.get(each.conversation, 0)
    }


def _newest_first(news: Mapping[Conversation, ConversationState]) -> Sequence[ConversationState]:
    return sorted(news.values(), key=lambda state: -state.activity)


def _within_size(found: Sequence[Sequence[Message]]) -> Sequence[Sequence[Message]]:
    """Drop the oldest messages of conversations that do not fit in `MAX_ANSWER_BYTES`."""
    left = MAX_ANSWER_BYTES
    within: list[Sequence[Message]] = []
    for messages in found:
        newest = newest_within(messages, left)
        within.append(newest)
        # Once a conversation was cut, later ones get nothing: the most recent come first.
        left = left - content_bytes(newest) if len(newest) == len(messages) else 0
    return within


def _fitting(found: Sequence[Recent]) -> int:
    """Return how many leading conversations fit in one result; at least one, if there is any."""
    left = MAX_ANSWER_BYTES
    for count, each in enumerate(found):
        left -= content_bytes((each.last_message,)) if each.last_message else 0
        if left < 0:
            return max(count, 1)
    return len(found)


def _has_hole(messages: Sequence[Message], known_seq: int) -> bool:
    return not messages or messages[0].seq > known_seq + 1
