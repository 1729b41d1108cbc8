"""Contract of every broadcast adapter."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import attrs
import pytest

from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, encode_event
from socketio_app.application.backlog import Backlog
from socketio_app.application.events import (
    Audience,
    ClientLimits,
    Connected,
    Event,
    Members,
    MessageSent,
    OneConnection,
    UserJoined,
    Users,
)
from socketio_app.application.opening import Opening
from socketio_app.application.ports import Broadcast
from socketio_app.domain.conversations import Room
from socketio_app.domain.identifiers import ConnectionId, RoomId, UserId
from tests.builders import draft
from tests.fake_writer import RecordingWriter
from tests.recording import RecordingBroadcast, RecordingConnection

ADA, BOB, EVE = UserId("ada"), UserId("bob"), UserId("eve")
LOBBY = RoomId("lobby")
OPENING = Opening(
    Connected(
        ADA,
        ConnectionId("1"),
        "epoch",
        datetime(2026, 11, 23, tzinfo=UTC),
        None,
        ClientLimits(1, 1, 1, 1, 1, 1, 1, 1, 1),
    ),
    Backlog.of(ADA, [], max_bytes=1),
)


class Connections(Protocol):
    """A broadcast adapter, with connections that count its events."""

    broadcast: Broadcast

    def open(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        """Open a connection; return a function that counts the events it got since."""
        ...

    def close(self, connection_id: str) -> None:
        """Close a connection."""
        ...

    def is_closed(self, connection_id: str) -> bool:
        """Whether the broadcast has closed a connection."""
        ...


@attrs.define
class HubConnections:
    broadcast: Hub = attrs.field(factory=lambda: Hub(SOCKETIO_ENCODING))
    subscribers: dict[str, Subscriber] = attrs.field(factory=dict)
    writers: dict[str, RecordingWriter] = attrs.field(factory=dict)

    def open(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        writer = self.writers[connection_id] = RecordingWriter()
        subscriber = Subscriber(ConnectionId(connection_id), user_id, writer, SOCKETIO_ENCODING)
        self.subscribers[connection_id] = subscriber
        self.broadcast.attach(subscriber)
        subscriber.release(OPENING, encode_event(OPENING.connected))
        writer.frames.clear()
        return lambda: len(writer.frames)

    def close(self, connection_id: str) -> None:
        self.broadcast.detach(self.subscribers[connection_id])

    def is_closed(self, connection_id: str) -> bool:
        return self.writers[connection_id].close_reason is not None


@attrs.define
class RecordingConnections:
    """The broadcast that other tests use, which must follow the same rules."""

    broadcast: RecordingBroadcast = attrs.field(factory=RecordingBroadcast)
    connections: dict[str, RecordingConnection] = attrs.field(factory=dict)

    def open(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        connection = self.broadcast.open(user_id, ConnectionId(connection_id))
        self.connections[connection_id] = connection
        connection.release(OPENING)
        opened = len(connection.events)
        return lambda: len(connection.events) - opened

    def close(self, connection_id: str) -> None:
        self.broadcast.close(self.connections[connection_id])

    def is_closed(self, connection_id: str) -> bool:
        return self.connections[connection_id].disconnect_reason is not None


@pytest.fixture(params=[HubConnections, RecordingConnections])
def connections(request: pytest.FixtureRequest) -> Connections:
    made: Connections = request.param()
    return made


def event() -> Event:
    return UserJoined(LOBBY, ADA, datetime(2026, 11, 23, tzinfo=UTC), 1)


def sent(seq: int) -> Event:
    return MessageSent(draft(Room(LOBBY)).at(seq))


def test_event_for_a_user_reaches_all_of_their_connections(connections: Connections) -> None:
    laptop, phone = connections.open(ADA, "1"), connections.open(ADA, "2")

    connections.broadcast.publish(event(), Users((ADA,)))

    assert (laptop(), phone()) == (1, 1)


def test_event_for_a_user_reaches_no_other_user(connections: Connections) -> None:
    connections.open(ADA, "1")
    bob = connections.open(BOB, "2")

    connections.broadcast.publish(event(), Users((ADA,)))

    assert bob() == 0


@pytest.mark.parametrize(
    "audience", [Users((ADA, BOB), ConnectionId("1")), Members(LOBBY, ConnectionId("1"))]
)
def test_one_connection_can_be_excluded(connections: Connections, audience: Audience) -> None:
    laptop, phone, bob = (connections.open(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))
    for user_id in (ADA, BOB):
        connections.broadcast.subscribe(LOBBY, user_id)

    connections.broadcast.publish(event(), audience)

    assert (laptop(), phone(), bob()) == (0, 1, 1)


def test_one_user_can_be_excluded_in_a_room(connections: Connections) -> None:
    laptop, phone, bob = (connections.open(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))
    for user_id in (ADA, BOB):
        connections.broadcast.subscribe(LOBBY, user_id)

    connections.broadcast.publish(event(), Members(LOBBY, except_user=ADA))

    assert (laptop(), phone(), bob()) == (0, 0, 1)


def test_room_events_reach_a_user_from_subscribe_to_unsubscribe(connections: Connections) -> None:
    ada = connections.open(ADA, "1")
    connections.broadcast.publish(event(), Members(LOBBY))
    connections.broadcast.subscribe(LOBBY, ADA)
    connections.broadcast.publish(event(), Members(LOBBY))
    connections.broadcast.unsubscribe(LOBBY, ADA)
    connections.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 1


def test_connection_that_opens_later_is_subscribed_to_its_users_rooms(
    connections: Connections,
) -> None:
    connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA)
    phone = connections.open(ADA, "2")

    connections.broadcast.publish(event(), Members(LOBBY))

    assert phone() == 1


def test_subscribing_twice_delivers_events_once(connections: Connections) -> None:
    ada = connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA)
    connections.broadcast.subscribe(LOBBY, ADA)

    connections.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 1


def test_closed_connection_gets_no_events(connections: Connections) -> None:
    ada, bob = connections.open(ADA, "1"), connections.open(BOB, "2")
    for user_id in (ADA, BOB):
        connections.broadcast.subscribe(LOBBY, user_id)
    connections.close("1")

    connections.broadcast.publish(event(), Members(LOBBY))
    connections.broadcast.publish(event(), Users((ADA, BOB)))

    assert (ada(), bob()) == (0, 2)


def test_event_for_one_connection_reaches_only_that_connection(connections: Connections) -> None:
    laptop, phone, bob = (connections.open(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))

    connections.broadcast.publish(event(), OneConnection(ADA, ConnectionId("2")))
    connections.broadcast.publish(event(), OneConnection(ADA, ConnectionId("gone")))

    assert (laptop(), phone(), bob()) == (0, 1, 0)


def test_disconnecting_a_user_closes_all_of_their_connections_only(
    connections: Connections,
) -> None:
    for user_id, connection_id in ((ADA, "1"), (ADA, "2"), (BOB, "3")):
        connections.open(user_id, connection_id)

    connections.broadcast.disconnect(Users((ADA,)), "disconnected")

    assert [connections.is_closed(each) for each in ("1", "2", "3")] == [True, True, False]


def test_one_connection_can_be_disconnected(connections: Connections) -> None:
    for user_id, connection_id in ((ADA, "1"), (ADA, "2"), (BOB, "3")):
        connections.open(user_id, connection_id)

    connections.broadcast.disconnect(OneConnection(ADA, ConnectionId("1")), "token_expired")

    assert [connections.is_closed(each) for each in ("1", "2", "3")] == [True, False, False]


def test_disconnected_user_gets_no_more_events(connections: Connections) -> None:
    ada = connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA)
    connections.broadcast.disconnect(Users((ADA,)), "token_expired")

    connections.broadcast.publish(event(), Members(LOBBY))
    connections.broadcast.publish(event(), Users((ADA,)))

    assert ada() == 0


def test_disconnecting_an_absent_user_does_nothing(connections: Connections) -> None:
    bob = connections.open(BOB, "1")

    connections.broadcast.disconnect(Users((EVE,)), "disconnected")
    connections.broadcast.disconnect(OneConnection(BOB, ConnectionId("gone")), "disconnected")
    connections.broadcast.publish(event(), Users((BOB,)))

    assert bob() == 1


def test_unsubscribing_without_a_subscription_does_nothing(connections: Connections) -> None:
    ada = connections.open(ADA, "1")

    connections.broadcast.unsubscribe(LOBBY, ADA)
    connections.broadcast.unsubscribe(LOBBY, EVE)
    connections.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0


def test_events_of_a_paused_room_are_delivered_by_subscribe(connections: Connections) -> None:
    laptop = connections.open(ADA, "1")
    connections.broadcast.pause(LOBBY, ADA)
    phone, bob = connections.open(ADA, "2"), connections.open(BOB, "3")
    connections.broadcast.subscribe(LOBBY, BOB)

    connections.broadcast.publish(event(), Members(LOBBY))
    connections.broadcast.publish(event(), Users((ADA, BOB)))
    assert (laptop(), phone(), bob()) == (0, 0, 2)
    assert not connections.broadcast.is_subscribed(LOBBY, ADA)

    connections.broadcast.subscribe(LOBBY, ADA)
    connections.broadcast.publish(event(), Members(LOBBY))

    assert (laptop(), phone(), bob()) == (3, 3, 3)
    assert connections.broadcast.is_subscribed(LOBBY, ADA)


def test_events_of_a_paused_room_are_dropped_by_unsubscribe(
    connections: Connections,
) -> None:
    ada = connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA)
    connections.broadcast.pause(LOBBY, ADA)
    connections.broadcast.publish(event(), Members(LOBBY))

    connections.broadcast.unsubscribe(LOBBY, ADA)
    connections.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0
    assert not connections.broadcast.is_subscribed(LOBBY, ADA)
    connections.broadcast.publish(event(), Users((ADA,)))
    assert ada() == 1


def test_messages_up_to_given_seq_are_not_delivered(connections: Connections) -> None:
    ada = connections.open(ADA, "1")
    connections.broadcast.pause(LOBBY, ADA)
    for seq in (2, 3):
        connections.broadcast.publish(sent(seq), Members(LOBBY))

    connections.broadcast.subscribe(LOBBY, ADA, given_seq=4)
    connections.broadcast.publish(sent(4), Members(LOBBY))
    assert ada() == 0

    connections.broadcast.publish(sent(5), Members(LOBBY))
    assert ada() == 1


def test_connection_that_opens_later_gets_no_messages_up_to_given_seq(
    connections: Connections,
) -> None:
    connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA, 2)
    phone = connections.open(ADA, "2")

    for seq in (2, 3):
        connections.broadcast.publish(MessageSent(draft(Room(LOBBY)).at(seq)), Members(LOBBY))

    assert phone() == 1


def test_user_who_comes_back_gets_no_messages_up_to_given_seq(connections: Connections) -> None:
    connections.open(ADA, "1")
    connections.broadcast.subscribe(LOBBY, ADA, 2)
    connections.close("1")
    phone = connections.open(ADA, "2")
    connections.broadcast.subscribe(LOBBY, ADA)

    for seq in (2, 3):
        connections.broadcast.publish(MessageSent(draft(Room(LOBBY)).at(seq)), Members(LOBBY))

    assert phone() == 1


def test_pausing_for_an_absent_user_queues_no_events(connections: Connections) -> None:
    connections.broadcast.pause(LOBBY, EVE)
    eve = connections.open(EVE, "1")
    connections.broadcast.publish(event(), Members(LOBBY))
    assert not connections.broadcast.is_subscribed(LOBBY, EVE)

    connections.broadcast.subscribe(LOBBY, EVE)
    connections.broadcast.publish(event(), Members(LOBBY))

    assert eve() == 1


def test_queue_of_a_paused_room_is_dropped_with_the_last_connection(
    connections: Connections,
) -> None:
    connections.open(ADA, "1")
    connections.broadcast.pause(LOBBY, ADA)
    connections.close("1")
    ada = connections.open(ADA, "2")

    connections.broadcast.publish(event(), Users((ADA,)))

    assert ada() == 1
