"""Broadcasting to large rooms yields to the event loop, and keeps the order."""

import asyncio
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.large_rooms import MAX_BATCH_EVENTS, MAX_WAITING
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, encode_event
from socketio_app.adapters.websocket.frames import Frame, contents
from socketio_app.application import live_merge
from socketio_app.application.events import Audience, Members, MessageSent, UserJoined, Users
from socketio_app.domain.conversations import Conversation, Pair, Room
from socketio_app.domain.identifiers import ConnectionId, MessageId, RoomId, UserId
from socketio_app.domain.messaging import Message
from tests.builders import ADA, BOB, EVE, LOBBY
from tests.contracts.test_broadcast import OPENING, HubConnections, event
from tests.fake_writer import RecordingWriter

pytestmark = pytest.mark.anyio

SLICE_CONNECTIONS = 3


@pytest.fixture
def large_room() -> HubConnections:
    """A room with more connections than one slice."""
    connections = HubConnections(Hub(SOCKETIO_ENCODING, SLICE_CONNECTIONS))
    for number in range(2 * SLICE_CONNECTIONS):
        user_id = UserId(f"user {number}")
        connections.open(user_id, f"{number}")
        connections.broadcast.subscribe(LOBBY, user_id)
    return connections


async def all_published(hub: Hub) -> None:
    async with asyncio.timeout(60):
        while hub._large_rooms.rooms:
            await asyncio.sleep(0)


async def test_event_reaches_large_room_in_slices(large_room: HubConnections) -> None:
    ada = large_room.open(ADA, "ada's")
    large_room.broadcast.subscribe(LOBBY, ADA)

    large_room.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0
    await all_published(large_room.broadcast)
    assert ada() == 1


async def test_later_events_wait_for_slices_in_progress(large_room: HubConnections) -> None:
    ada = large_room.open(ADA, "ada's")
    large_room.broadcast.subscribe(LOBBY, ADA)

    large_room.broadcast.publish(event(), Members(LOBBY))
    large_room.broadcast.publish(event(), Users((ADA,)))

    assert ada() == 0
    await all_published(large_room.broadcast)
    assert ada() == 2


async def test_exclusions_apply_to_every_slice(large_room: HubConnections) -> None:
    ada, eve = large_room.open(ADA, "ada's"), large_room.open(EVE, "eve's")
    for user_id in (ADA, EVE):
        large_room.broadcast.subscribe(LOBBY, user_id)

    large_room.broadcast.publish(event(), Members(LOBBY, except_connection=ConnectionId("ada's")))
    large_room.broadcast.publish(event(), Members(LOBBY, except_user=ADA))

    await all_published(large_room.broadcast)
    assert (ada(), eve()) == (0, 2)


async def test_user_who_left_paused_room_gets_no_pending_events(
    large_room: HubConnections,
) -> None:
    ada = large_room.open(ADA, "ada's")
    large_room.broadcast.subscribe(LOBBY, ADA)
    large_room.broadcast.publish(event(), Members(LOBBY))
    large_room.broadcast.pause(LOBBY, ADA)

    large_room.broadcast.unsubscribe(LOBBY, ADA)
    await all_published(large_room.broadcast)
    assert ada() == 0

    large_room.broadcast.pause(LOBBY, ADA)
    large_room.broadcast.subscribe(LOBBY, ADA)
    large_room.broadcast.publish(event(), Members(LOBBY))
    await all_published(large_room.broadcast)
    assert ada() == 1


async def test_connection_with_too_many_held_events_is_closed(
    large_room: HubConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_merge, "MAX_HELD", 2)
    large_room.open(ADA, "ada's")
    large_room.broadcast.pause(LOBBY, ADA)

    for _ in range(3):
        assert not large_room.is_closed("ada's")
        large_room.broadcast.publish(event(), Members(LOBBY))
        await all_published(large_room.broadcast)

    assert large_room.is_closed("ada's")


async def test_direct_writes_resume_after_merge_is_forgotten(
    large_room: HubConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    large_room.open(ADA, "ada's")
    subscriber = large_room.subscribers["ada's"]
    subscriber.set_direct_writer(large_room.writers["ada's"])
    large_room.broadcast.pause(LOBBY, ADA)
    large_room.broadcast.subscribe(LOBBY, ADA, given_seq=7)
    large_room.broadcast.publish(event(), Users((ADA,)))
    assert subscriber.write_directly is None

    monkeypatch.setattr(subscriber, "_forget_at", 0.0)
    large_room.broadcast.publish(event(), Users((ADA,)))

    assert subscriber.write_directly is not None


async def test_connection_opened_during_broadcast_does_not_get_event(
    large_room: HubConnections,
) -> None:
    large_room.broadcast.publish(event(), Members(LOBBY))
    late = large_room.open(UserId("user 0"), "late")

    await all_published(large_room.broadcast)

    assert late() == 0


async def test_room_that_shrinks_during_broadcast_gets_events_in_order(
    large_room: HubConnections,
) -> None:
    ada = large_room.open(ADA, "ada's")
    large_room.broadcast.subscribe(LOBBY, ADA)
    large_room.broadcast.publish(event(), Members(LOBBY))

    for number in range(2 * SLICE_CONNECTIONS):
        large_room.broadcast.unsubscribe(LOBBY, UserId(f"user {number}"))
    large_room.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0
    await all_published(large_room.broadcast)
    assert ada() == 2


async def test_sender_waits_while_room_is_behind(large_room: HubConnections) -> None:
    hub = large_room.broadcast
    for _ in range(MAX_WAITING + MAX_BATCH_EVENTS + 1):
        hub.publish(event(), Members(LOBBY))

    waiting = asyncio.create_task(hub.wait_until_caught_up(LOBBY))
    await asyncio.sleep(0)

    assert not waiting.done()
    await all_published(hub)
    await waiting


async def test_sender_does_not_wait_while_room_keeps_up(large_room: HubConnections) -> None:
    large_room.broadcast.publish(event(), Members(LOBBY))

    wait_until_caught_up = large_room.broadcast.wait_until_caught_up(LOBBY)

    with pytest.raises(StopIteration):
        wait_until_caught_up.send(None)


@pytest.mark.parametrize("takes_bytes", [False, True])
@pytest.mark.parametrize("is_direct", [False, True])
@pytest.mark.parametrize("audience", [Members(LOBBY), Users((ADA, BOB))])
@pytest.mark.parametrize("slice_connections", [1, 1000])
async def test_failed_write_closes_only_its_connection(
    slice_connections: int, audience: Audience, is_direct: bool, takes_bytes: bool
) -> None:
    connections = HubConnections(Hub(SOCKETIO_ENCODING, slice_connections))
    hub = connections.broadcast
    ada, bob = connections.open(ADA, "ada's"), connections.open(BOB, "bob's")
    for user_id in (ADA, BOB):
        hub.subscribe(LOBBY, user_id)
    broken, subscriber = connections.writers["ada's"], connections.subscribers["ada's"]
    broken.fault, broken.takes_bytes = OSError("broken"), takes_bytes
    if is_direct:
        broken.on_direct_writer = subscriber.set_direct_writer
        subscriber.set_direct_writer(broken)

    for _ in range(2):
        hub.publish(event(), audience)
        await all_published(hub)

    assert (ada(), bob()) == (0, 2)
    assert broken.faults == [broken.fault]


async def test_other_rooms_are_served_between_slices(large_room: HubConnections) -> None:
    ada = large_room.open(ADA, "ada's")
    large_room.broadcast.subscribe(RoomId("small"), ADA)

    large_room.broadcast.publish(event(), Members(LOBBY))
    large_room.broadcast.publish(event(), Members(RoomId("small")))

    assert ada() == 1
    await all_published(large_room.broadcast)


class TestConfirmations:
    """Which connections must confirm a personal message."""

    async def test_only_connections_of_recipient_confirm_personal_message(self) -> None:
        connections = HubConnections()
        for connection, user_id in (("1", ADA), ("2", ADA), ("3", BOB), ("4", BOB)):
            connections.open(user_id, connection)
        message = message_from(ADA, Pair.of(ADA, BOB))

        connections.broadcast.publish(MessageSent(message), Users((ADA, BOB), ConnectionId("1")))

        expected = {
            connection: writer.expected for connection, writer in connections.writers.items()
        }
        assert expected == {"1": [], "2": [], "3": [message], "4": [message]}

    async def test_room_message_needs_no_confirmation(self) -> None:
        connections = HubConnections()
        connections.open(BOB, "1")
        connections.broadcast.subscribe(LOBBY, BOB)

        connections.broadcast.publish(MessageSent(message_from(ADA, Room(LOBBY))), Members(LOBBY))

        assert connections.writers["1"].expected == []

    async def test_held_message_needs_confirmation_once_written(self) -> None:
        hub, writer = Hub(SOCKETIO_ENCODING), RecordingWriter()
        subscriber = Subscriber(ConnectionId("1"), BOB, writer, SOCKETIO_ENCODING)
        hub.attach(subscriber)
        message = message_from(ADA, Pair.of(ADA, BOB))

        hub.publish(MessageSent(message), Users((ADA, BOB)))
        assert writer.expected == []

        subscriber.release(OPENING, encode_event(OPENING.connected))
        assert writer.expected == [message]


def message_from(user_id: UserId, conversation: Conversation) -> Message:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    recipient = conversation.recipient(user_id)
    return Message(MessageId("m"), conversation, 1, user_id, recipient, "hello", at, None)


# Whatever the sizes of rooms, each connection receives the same frames of a room in the same order.

ROOMS = [LOBBY, RoomId("den")]
PEOPLE = [ADA, BOB, EVE, *[UserId(f"user {number}") for number in range(5)]]
CONNECTIONS = [ConnectionId(f"{user_id}/{number}") for user_id in PEOPLE for number in range(2)]

rooms, people = st.sampled_from(ROOMS), st.sampled_from(PEOPLE)
audiences = st.one_of(
    st.builds(
        Members,
        rooms,
        except_connection=st.none() | st.sampled_from(CONNECTIONS),
        except_user=st.none() | people,
    ),
    st.builds(Users, st.lists(people, min_size=1, max_size=3, unique=True).map(tuple)),
)
steps = st.one_of(
    st.tuples(st.just("tell"), rooms, audiences),
    st.tuples(st.just("tell"), rooms, audiences),
    st.tuples(st.just("enter"), rooms, people),
    st.tuples(st.just("leave"), rooms, people),
    st.tuples(st.just("detach"), st.sampled_from(CONNECTIONS), st.none()),
    st.tuples(st.just("turn"), st.none(), st.none()),
)


async def frames_received(
    slice_connections: int, actions: list[tuple[str, object, object]]
) -> object:
    hub = Hub(SOCKETIO_ENCODING, slice_connections)
    writers = {
        each: RecordingWriter(takes_bytes=number % 3 == 2)
        for number, each in enumerate(CONNECTIONS)
    }
    frames = {each: writer.frames for each, writer in writers.items()}
    subscribers: dict[ConnectionId, Subscriber] = {}
    for number, connection_id in enumerate(CONNECTIONS):
        subscriber = Subscriber(
            connection_id, PEOPLE[number // 2], writers[connection_id], SOCKETIO_ENCODING
        )
        subscribers[connection_id] = subscriber
        hub.attach(subscriber)
        subscriber.release(OPENING, encode_event(OPENING.connected))
        frames[connection_id].clear()
        if number % 3:
            subscriber.set_direct_writer(writers[connection_id])
        for room_id in ROOMS:
            hub.subscribe(room_id, subscriber.user_id)
    for number, step in enumerate(actions):
        match step:
            case ("tell", about, Users() | Members() as audience):
                publish(hub, number, about, audience)
            case ("enter", room, who):
                hub.subscribe(room, who)  # type: ignore[arg-type]
            case ("leave", room, who):
                hub.unsubscribe(room, who)  # type: ignore[arg-type]
            case ("detach", closed, _):
                await all_published(hub)  # otherwise its last frames would have no recipients
                hub.detach(subscribers[closed])  # type: ignore[index]
            case _:
                await asyncio.sleep(0)
    await all_published(hub)
    return {each: by_room(received) for each, received in frames.items()}


def publish(hub: Hub, number: int, about: object, audience: Audience) -> None:
    room_id = audience.room_id if isinstance(audience, Members) else RoomId(str(about))
    joined_at = datetime(2026, 11, 23, tzinfo=UTC)
    hub.publish(UserJoined(room_id, ADA, joined_at, number), audience)


def by_room(frames: list[Frame]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for _, packet in map(contents, frames):
        payload = json.loads(packet.removeprefix(b"42"))[1]
        found[payload["room_id"]].append(payload["member_count"])
    return found


@given(st.sampled_from([SLICE_CONNECTIONS, len(CONNECTIONS) - 3]), st.lists(steps, max_size=40))
def test_large_room_gets_same_frames_as_small_room(
    slice_connections: int, actions: list[tuple[str, object, object]]
) -> None:
    assert asyncio.run(frames_received(slice_connections, actions)) == asyncio.run(
        frames_received(1000, actions)
    )


async def test_new_connection_is_added_to_room_without_rebuilding_audience() -> None:
    """`enter` is called for each of the user's rooms at every connect."""
    connections = HubConnections(Hub(SOCKETIO_ENCODING, SLICE_CONNECTIONS))
    hub = connections.broadcast
    connections.open(ADA, "first")
    hub.subscribe(LOBBY, ADA)
    audience = Counting(hub._audiences[LOBBY])
    hub._audiences[LOBBY] = audience

    connections.open(ADA, "second")
    hub.subscribe(LOBBY, ADA)

    assert set(audience) == {"first", "second"}
    assert audience.writes == 1


class Counting(dict[ConnectionId, Subscriber]):
    """Counts writes to the dictionary."""

    writes = 0

    def __setitem__(self, connection_id: ConnectionId, subscriber: Subscriber) -> None:
        self.writes += 1
        super().__setitem__(connection_id, subscriber)

    def update(self, subscribers: Any) -> None:
        self.writes += len(subscribers)
        super().update(subscribers)
