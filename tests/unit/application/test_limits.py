"""What a deployment that sets nothing gets (docs/wire.md)."""

from datetime import timedelta

from socketio_app.application.admission import KINDS
from socketio_app.application.limits import DEFAULT_RATES, Limits


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Limits() == Limits(
        content_chars=4096,
        rooms_per_user=1000,
        typing_ttl=timedelta(seconds=8),
        typing_renew=timedelta(seconds=3),
        typing_room_members=100,
        offline_push=500,
        rates=DEFAULT_RATES,
    )


def test_a_client_that_renews_as_it_is_told_is_seen_without_a_break() -> None:
    limits = Limits()

    assert 2 * limits.typing_renew < limits.typing_ttl


def test_every_kind_of_command_has_a_default_rate() -> None:
    assert set(DEFAULT_RATES) == set(KINDS.values())


def test_one_connection_may_not_use_up_all_that_its_user_may() -> None:
    for rates in DEFAULT_RATES.values():
        assert rates.per_user is not None
        assert rates.per_connection is not None
        assert rates.per_connection.per_second < rates.per_user.per_second
