"""The joins after which earlier messages may still be broadcast."""

import pytest

from socketio_app.adapters.fanout import recent_joins
from socketio_app.adapters.fanout.recent_joins import LATE_SECONDS, RecentJoins
from tests.builders import ADA, BOB, DEN, LOBBY


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [0.0]
    monkeypatch.setattr(recent_joins, "monotonic", lambda: time[0])
    return time


def test_joins_are_remembered_by_user_and_room(now: list[float]) -> None:
    joins = RecentJoins()
    joins.add(ADA, LOBBY, 3)
    joins.add(ADA, DEN, 4)

    assert dict(joins.of(ADA)) == {LOBBY: 3, DEN: 4}
    assert not joins.of(BOB)


def test_joins_are_forgotten_after_timeout(now: list[float]) -> None:
    joins = RecentJoins()
    joins.add(ADA, LOBBY, 3)

    now[0] = LATE_SECONDS

    assert not joins.of(ADA)
    assert not joins._joins


def test_joining_again_restarts_timeout(now: list[float]) -> None:
    joins = RecentJoins()
    joins.add(ADA, LOBBY, 3)
    now[0] = LATE_SECONDS / 2
    joins.add(ADA, LOBBY, 5)

    now[0] = LATE_SECONDS

    assert dict(joins.of(ADA)) == {LOBBY: 5}
