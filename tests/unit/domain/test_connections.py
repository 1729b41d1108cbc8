"""Open connections of users."""

import pytest

from socketio_app.domain.connections import Connections
from socketio_app.domain.errors import TooManyConnections
from socketio_app.domain.identifiers import ConnectionId
from tests.builders import ADA, BOB

LAPTOP, PHONE = ConnectionId("laptop"), ConnectionId("phone")


def test_user_is_online_from_first_connection_to_last() -> None:
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


def test_open_reports_first_connection() -> None:
    connections = Connections()

    assert connections.open(ADA, LAPTOP)
    assert not connections.open(ADA, PHONE)


def test_close_reports_last_connection() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)
    connections.open(ADA, PHONE)

    assert not connections.close(ADA, PHONE)
    assert connections.close(ADA, LAPTOP)


def test_closing_unknown_connection_reports_false() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)

    assert not connections.close(ADA, PHONE)
    assert not connections.close(BOB, LAPTOP)
    assert connections.is_online(ADA)


def test_closing_twice_reports_last_once() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)
    connections.close(ADA, LAPTOP)

    assert not connections.close(ADA, LAPTOP)


def test_connections_are_per_user() -> None:
    connections = Connections()
    connections.open(ADA, LAPTOP)

    assert connections.open(BOB, PHONE)
    assert connections.close(ADA, LAPTOP)
    assert connections.is_online(BOB)


def test_count_includes_all_users() -> None:
    connections = Connections()
    counts = [connections.count()]

    connections.open(ADA, LAPTOP)
    connections.open(BOB, PHONE)
    counts.append(connections.count())
    connections.close(ADA, LAPTOP)
    counts.append(connections.count())

    assert counts == [0, 2, 1]


def test_connections_per_user_are_limited() -> None:
    connections = Connections(max_per_user=2)
    for number in range(2):
        connections.admit(ADA, ConnectionId(f"{number}"))
        connections.open(ADA, ConnectionId(f"{number}"))

    with pytest.raises(TooManyConnections):
        connections.admit(ADA, LAPTOP)

    connections.admit(BOB, LAPTOP)


def test_opening_connections_count_towards_limit() -> None:
    connections = Connections(max_per_user=2)
    connections.admit(ADA, LAPTOP)
    connections.admit(ADA, PHONE)

    with pytest.raises(TooManyConnections):
        connections.admit(ADA, ConnectionId("tablet"))


@pytest.mark.parametrize("opens", [True, False])
def test_closed_connection_frees_slot(opens: bool) -> None:
    connections = Connections(max_per_user=1)
    connections.admit(ADA, LAPTOP)
    if opens:
        connections.open(ADA, LAPTOP)

    connections.close(ADA, LAPTOP)

    connections.admit(ADA, PHONE)


def test_opening_connection_is_not_open() -> None:
    connections = Connections()
    connections.admit(ADA, LAPTOP)

    assert not connections.is_online(ADA)
    assert not connections.is_open(ADA, LAPTOP)
    assert connections.count() == 0


def test_no_state_is_kept_for_offline_users() -> None:
    connections = Connections(max_per_user=1)
    connections.admit(ADA, LAPTOP)
    connections.open(ADA, LAPTOP)
    connections.close(ADA, LAPTOP)
    connections.admit(BOB, PHONE)
    connections.close(BOB, PHONE)

    assert connections == Connections(max_per_user=1)
