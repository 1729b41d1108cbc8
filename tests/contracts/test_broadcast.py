"""Contract of every broadcast adapter."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import attrs
import pytest

from socketio_app.adapters.fanout.hub import Hub
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.encoding import SOCKETIO_ENCODING, frame_of
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
from tests.recording import Listener, RecordingBroadcast

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


class Listening(Protocol):
    """A broadcast adapter, with connections that count its events."""

    broadcast: Broadcast

    def listen(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        """Open a connection; return a function that counts the events it got since."""
        ...

    def end(self, connection_id: str) -> None:
        """Close a connection."""
        ...

    def was_ended(self, connection_id: str) -> bool:
        """Whether the broadcast has closed a connection."""
        ...


@attrs.define
class ListeningToHub:
    broadcast: Hub = attrs.field(factory=lambda: Hub(SOCKETIO_ENCODING))
    subscribers: dict[str, Subscriber] = attrs.field(factory=dict)
    writers: dict[str, RecordingWriter] = attrs.field(factory=dict)

    def listen(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        writer = self.writers[connection_id] = RecordingWriter()
        subscriber = Subscriber(ConnectionId(connection_id), user_id, writer, SOCKETIO_ENCODING)
        self.subscribers[connection_id] = subscriber
        self.broadcast.attach(subscriber)
        subscriber.release(OPENING, frame_of(OPENING.connected))
        writer.frames.clear()
        return lambda: len(writer.frames)

    def end(self, connection_id: str) -> None:
        self.broadcast.detach(self.subscribers[connection_id])

    def was_ended(self, connection_id: str) -> bool:
        return self.writers[connection_id].ended is not None


@attrs.define
class ListeningToRecording:
    """The broadcast that other tests use, which must follow the same rules."""

    broadcast: RecordingBroadcast = attrs.field(factory=RecordingBroadcast)
    listeners: dict[str, Listener] = attrs.field(factory=dict)

    def listen(self, user_id: UserId, connection_id: str) -> Callable[[], int]:
        listener = self.broadcast.listen(user_id, ConnectionId(connection_id))
        self.listeners[connection_id] = listener
        listener.release(OPENING)
        opened = len(listener.told)
        return lambda: len(listener.told) - opened

    def end(self, connection_id: str) -> None:
        self.broadcast.end(self.listeners[connection_id])

    def was_ended(self, connection_id: str) -> bool:
        return self.listeners[connection_id].dismissed is not None


@pytest.fixture(params=[ListeningToHub, ListeningToRecording])
def listening(request: pytest.FixtureRequest) -> Listening:
    made: Listening = request.param()
    return made


def event() -> Event:
    return UserJoined(LOBBY, ADA, datetime(2026, 11, 23, tzinfo=UTC), 1)


def sent(seq: int) -> Event:
    return MessageSent(draft(Room(LOBBY)).at(seq))


def test_event_for_a_user_reaches_all_of_their_connections(listening: Listening) -> None:
    laptop, phone = listening.listen(ADA, "1"), listening.listen(ADA, "2")

    listening.broadcast.publish(event(), Users((ADA,)))

    assert (laptop(), phone()) == (1, 1)


def test_event_for_a_user_reaches_no_other_user(listening: Listening) -> None:
    listening.listen(ADA, "1")
    bob = listening.listen(BOB, "2")

    listening.broadcast.publish(event(), Users((ADA,)))

    assert bob() == 0


@pytest.mark.parametrize(
    "audience", [Users((ADA, BOB), ConnectionId("1")), Members(LOBBY, ConnectionId("1"))]
)
def test_one_connection_can_be_excluded(listening: Listening, audience: Audience) -> None:
    laptop, phone, bob = (listening.listen(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))
    for user_id in (ADA, BOB):
        listening.broadcast.subscribe(LOBBY, user_id)

    listening.broadcast.publish(event(), audience)

    assert (laptop(), phone(), bob()) == (0, 1, 1)


def test_one_user_can_be_excluded_in_a_room(listening: Listening) -> None:
    laptop, phone, bob = (listening.listen(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))
    for user_id in (ADA, BOB):
        listening.broadcast.subscribe(LOBBY, user_id)

    listening.broadcast.publish(event(), Members(LOBBY, except_user=ADA))

    assert (laptop(), phone(), bob()) == (0, 0, 1)


def test_room_events_reach_a_user_from_subscribe_to_unsubscribe(listening: Listening) -> None:
    ada = listening.listen(ADA, "1")
    listening.broadcast.publish(event(), Members(LOBBY))
    listening.broadcast.subscribe(LOBBY, ADA)
    listening.broadcast.publish(event(), Members(LOBBY))
    listening.broadcast.unsubscribe(LOBBY, ADA)
    listening.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 1


def test_connection_that_opens_later_is_subscribed_to_its_users_rooms(listening: Listening) -> None:
    listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA)
    phone = listening.listen(ADA, "2")

    listening.broadcast.publish(event(), Members(LOBBY))

    assert phone() == 1


def test_subscribing_twice_delivers_events_once(listening: Listening) -> None:
    ada = listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA)
    listening.broadcast.subscribe(LOBBY, ADA)

    listening.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 1


def test_closed_connection_gets_no_events(listening: Listening) -> None:
    ada, bob = listening.listen(ADA, "1"), listening.listen(BOB, "2")
    for user_id in (ADA, BOB):
        listening.broadcast.subscribe(LOBBY, user_id)
    listening.end("1")

    listening.broadcast.publish(event(), Members(LOBBY))
    listening.broadcast.publish(event(), Users((ADA, BOB)))

    assert (ada(), bob()) == (0, 2)


def test_event_for_one_connection_reaches_only_that_connection(listening: Listening) -> None:
    laptop, phone, bob = (listening.listen(u, c) for u, c in ((ADA, "1"), (ADA, "2"), (BOB, "3")))

    listening.broadcast.publish(event(), OneConnection(ADA, ConnectionId("2")))
    listening.broadcast.publish(event(), OneConnection(ADA, ConnectionId("gone")))

    assert (laptop(), phone(), bob()) == (0, 1, 0)


def test_disconnecting_a_user_closes_all_of_their_connections_only(
    listening: Listening,
) -> None:
    for user_id, connection_id in ((ADA, "1"), (ADA, "2"), (BOB, "3")):
        listening.listen(user_id, connection_id)

    listening.broadcast.disconnect(Users((ADA,)), "disconnected")

    assert [listening.was_ended(each) for each in ("1", "2", "3")] == [True, True, False]


def test_one_connection_can_be_disconnected(listening: Listening) -> None:
    for user_id, connection_id in ((ADA, "1"), (ADA, "2"), (BOB, "3")):
        listening.listen(user_id, connection_id)

    listening.broadcast.disconnect(OneConnection(ADA, ConnectionId("1")), "token_expired")

    assert [listening.was_ended(each) for each in ("1", "2", "3")] == [True, False, False]


def test_disconnected_user_gets_no_more_events(listening: Listening) -> None:
    ada = listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA)
    listening.broadcast.disconnect(Users((ADA,)), "token_expired")

    listening.broadcast.publish(event(), Members(LOBBY))
    listening.broadcast.publish(event(), Users((ADA,)))

    assert ada() == 0


def test_disconnecting_an_absent_user_does_nothing(listening: Listening) -> None:
    bob = listening.listen(BOB, "1")

    listening.broadcast.disconnect(Users((EVE,)), "disconnected")
    listening.broadcast.disconnect(OneConnection(BOB, ConnectionId("gone")), "disconnected")
    listening.broadcast.publish(event(), Users((BOB,)))

    assert bob() == 1


def test_unsubscribing_without_a_subscription_does_nothing(listening: Listening) -> None:
    ada = listening.listen(ADA, "1")

    listening.broadcast.unsubscribe(LOBBY, ADA)
    listening.broadcast.unsubscribe(LOBBY, EVE)
    listening.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0


def test_events_of_a_paused_room_are_delivered_by_subscribe(listening: Listening) -> None:
    laptop = listening.listen(ADA, "1")
    listening.broadcast.pause(LOBBY, ADA)
    phone, bob = listening.listen(ADA, "2"), listening.listen(BOB, "3")
    listening.broadcast.subscribe(LOBBY, BOB)

    listening.broadcast.publish(event(), Members(LOBBY))
    listening.broadcast.publish(event(), Users((ADA, BOB)))
    assert (laptop(), phone(), bob()) == (0, 0, 2)
    assert not listening.broadcast.is_subscribed(LOBBY, ADA)

    listening.broadcast.subscribe(LOBBY, ADA)
    listening.broadcast.publish(event(), Members(LOBBY))

    assert (laptop(), phone(), bob()) == (3, 3, 3)
    assert listening.broadcast.is_subscribed(LOBBY, ADA)


def test_events_of_a_paused_room_are_dropped_by_unsubscribe(
    listening: Listening,
) -> None:
    ada = listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA)
    listening.broadcast.pause(LOBBY, ADA)
    listening.broadcast.publish(event(), Members(LOBBY))

    listening.broadcast.unsubscribe(LOBBY, ADA)
    listening.broadcast.publish(event(), Members(LOBBY))

    assert ada() == 0
    assert not listening.broadcast.is_subscribed(LOBBY, ADA)
    listening.broadcast.publish(event(), Users((ADA,)))
    assert ada() == 1


def test_messages_up_to_given_seq_are_not_delivered(listening: Listening) -> None:
    ada = listening.listen(ADA, "1")
    listening.broadcast.pause(LOBBY, ADA)
    for seq in (2, 3):
        listening.broadcast.publish(sent(seq), Members(LOBBY))

    listening.broadcast.subscribe(LOBBY, ADA, given_seq=4)
    listening.broadcast.publish(sent(4), Members(LOBBY))
    assert ada() == 0

    listening.broadcast.publish(sent(5), Members(LOBBY))
    assert ada() == 1


def test_connection_that_opens_later_gets_no_messages_up_to_given_seq(
    listening: Listening,
) -> None:
    listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA, 2)
    phone = listening.listen(ADA, "2")

    for seq in (2, 3):
        listening.broadcast.publish(MessageSent(draft(Room(LOBBY)).at(seq)), Members(LOBBY))

    assert phone() == 1


def test_user_who_comes_back_gets_no_messages_up_to_given_seq(listening: Listening) -> None:
    listening.listen(ADA, "1")
    listening.broadcast.subscribe(LOBBY, ADA, 2)
    listening.end("1")
    phone = listening.listen(ADA, "2")
    listening.broadcast.subscribe(LOBBY, ADA)

    for seq in (2, 3):
        listening.broadcast.publish(MessageSent(draft(Room(LOBBY)).at(seq)), Members(LOBBY))

    assert phone() == 1


def test_pausing_for_an_absent_user_queues_no_events(listening: Listening) -> None:
    listening.broadcast.pause(LOBBY, EVE)
    eve = listening.listen(EVE, "1")
    listening.broadcast.publish(event(), Members(LOBBY))
    assert not listening.broadcast.is_subscribed(LOBBY, EVE)

    listening.broadcast.subscribe(LOBBY, EVE)
    listening.broadcast.publish(event(), Members(LOBBY))

    assert eve() == 1


def test_queue_of_a_paused_room_is_dropped_with_the_last_connection(listening: Listening) -> None:
    listening.listen(ADA, "1")
    listening.broadcast.pause(LOBBY, ADA)
    listening.end("1")
    ada = listening.listen(ADA, "2")

    listening.broadcast.publish(event(), Users((ADA,)))

    assert ada() == 1
