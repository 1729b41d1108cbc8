"""Default limits (docs/wire.md)."""

from datetime import timedelta
from typing import get_args

from socketio_app.application.commands import CommandKind
from socketio_app.application.limits import DEFAULT_RATES, Limits


def test_defaults_match_wire_contract() -> None:
    assert Limits() == Limits(
        max_content_chars=4096,
        max_rooms_per_user=1000,
        typing_ttl=timedelta(seconds=8),
        typing_renew=timedelta(seconds=3),
        max_typing_room_members=100,
        max_offline_push=500,
        rates=DEFAULT_RATES,
    )


def test_typing_state_outlasts_two_renewal_intervals() -> None:
    limits = Limits()

    assert 2 * limits.typing_renew < limits.typing_ttl


def test_every_command_kind_has_default_rate() -> None:
    assert set(DEFAULT_RATES) == set(get_args(CommandKind))


def test_connection_rates_are_lower_than_user_rates() -> None:
    for rates in DEFAULT_RATES.values():
        assert rates.per_user is not None
        assert rates.per_connection is not None
        assert rates.per_connection.per_second < rates.per_user.per_second
