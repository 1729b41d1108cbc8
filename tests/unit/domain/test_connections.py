"""Which connections each user has open."""

import pytest

from socketio_app.domain.connections import Connections
from socketio_app.domain.errors import TooManyConnections
from socketio_app.domain.identifiers import ConnectionId
from tests.builders import ADA, BOB

LAPTOP, PHONE = ConnectionId("laptop"), ConnectionId("phone")


def test_a_user_is_online_from_the_first_connection_to_the_last() -> None:
    connections = Connections()
    online = [connections.is_online(ADA)]

    connections.open(ADA, LAPTOP)
    online.append(connections.is_online(ADA))
    connections.open(ADA, PHONE)
    connections.close(ADA, LAPTOP)
    online.append(connections.is_online(ADA))
    connections.close(ADA, PHONE)
    online.append(connections.is_online(ADA))

    assert online == [False, True, True, False]


def test_the_first_connection_is_the_only_one() -> None:
    connections = Connections()

    assert connections.open(ADA, LAPTOP)
    assert not connections.open(ADA, PHONE)


def test_the_last_connection_is_the_last_one() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)
    connections.open(ADA, PHONE)

    assert not connections.close(ADA, PHONE)
    assert connections.close(ADA, LAPTOP)


def test_closing_what_is_not_open_is_nobodys_last() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)

    assert not connections.close(ADA, PHONE)
    assert not connections.close(BOB, LAPTOP)
    assert connections.is_online(ADA)


def test_closing_twice_counts_once() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)
    connections.close(ADA, LAPTOP)

    assert not connections.close(ADA, LAPTOP)


def test_each_user_has_connections_of_their_own() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)

    assert connections.open(BOB, PHONE)
    assert connections.close(ADA, LAPTOP)
    assert connections.is_online(BOB)


def test_connections_are_counted_over_all_users() -> None:
    connections = Connections()
    counts = [connections.count()]

    connections.open(ADA, LAPTOP)
    connections.open(BOB, PHONE)
    counts.append(connections.count())
    connections.close(ADA, LAPTOP)
    counts.append(connections.count())

    assert counts == [0, 2, 1]


def test_a_user_may_have_so_many_connections_and_no_more() -> None:
    connections = Connections(most=2)
    for number in range(2):
        connections.admit(ADA, ConnectionId(f"{number}"))
        connections.open(ADA, ConnectionId(f"{number}"))

    with pytest.raises(TooManyConnections):
        connections.admit(ADA, LAPTOP)

    connections.admit(BOB, LAPTOP)


def test_connections_that_are_opening_count_too() -> None:
    connections = Connections(most=2)
    connections.admit(ADA, LAPTOP)
    connections.admit(ADA, PHONE)

    with pytest.raises(TooManyConnections):
        connections.admit(ADA, ConnectionId("tablet"))


@pytest.mark.parametrize("opens", [True, False])
def test_one_that_has_gone_makes_room(opens: bool) -> None:
    connections = Connections(most=1)
    connections.admit(ADA, LAPTOP)
    if opens:
        connections.open(ADA, LAPTOP)

    connections.close(ADA, LAPTOP)

    connections.admit(ADA, PHONE)


def test_what_is_opening_is_not_open() -> None:
    connections = Connections()
    connections.admit(ADA, LAPTOP)

    assert not connections.is_online(ADA)
    assert not connections.is_open(ADA, LAPTOP)
    assert connections.count() == 0


def test_nothing_is_kept_of_who_has_gone() -> None:
    connections = Connections(most=1)
    connections.admit(ADA, LAPTOP)
    connections.open(ADA, LAPTOP)
    connections.close(ADA, LAPTOP)
    connections.admit(BOB, PHONE)
    connections.close(BOB, PHONE)

    assert connections == Connections(most=1)
