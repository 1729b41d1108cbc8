"""A connection lives as long as its token."""

import asyncio
from datetime import datetime, timedelta

import pytest

from socketio_app.application.commands import RefreshToken, TokenRefreshed
from socketio_app.application.events import Connected, TokenExpiring
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import InvalidPayload, TokenExpired, Unauthenticated
from tests.builders import ADA, BOB
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def live() -> LiveChat:
    return LiveChat()


def ends_in(live: LiveChat, lifetime: timedelta) -> datetime:
    return live.clock.now() + lifetime


async def connect_for(live: LiveChat, lifetime: timedelta) -> Device:
    return await live.connect(ADA, ends_in(live, lifetime))


def another_token(live: LiveChat, lifetime: timedelta | None) -> RefreshToken:
    """A token of Ada's that is good from now on."""
    ends_at = None if lifetime is None else ends_in(live, lifetime)
    live.tokens["another"] = Identity(ADA, ends_at)
    return RefreshToken("another")


class TestTheEnd:
    async def test_a_connection_ends_with_its_token(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)

        live.clock.advance(HOUR - MOMENT)
        assert ada.dismissed is None

        live.clock.advance(MOMENT)
        assert ada.dismissed == "token_expired"

    async def test_a_minute_before_it_is_told_so_once(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        expiring = TokenExpiring(ends_in(live, HOUR), MINUTE)

        live.clock.advance(HOUR - MINUTE - MOMENT)
        assert ada.of(TokenExpiring) == []

        live.clock.advance(MINUTE)
        assert ada.of(TokenExpiring) == [expiring]

    @pytest.mark.parametrize("seconds", [2, 5, 60, 90, 120])
    async def test_a_short_lived_token_is_warned_of_halfway(
        self, live: LiveChat, seconds: int
    ) -> None:
        life = seconds * SECOND
        ada = await connect_for(live, life)
        expiring = TokenExpiring(ends_in(live, life), life / 2)

        live.clock.advance(life / 2 - MOMENT)
        assert list(map(type, ada.told)) == [Connected]

        live.clock.advance(MOMENT)
        assert ada.of(TokenExpiring) == [expiring]
        live.clock.advance(life / 2)
        assert ada.dismissed == "token_expired"

    async def test_a_token_that_ends_while_it_is_let_in_is_no_good(self, live: LiveChat) -> None:
        ada = await connect_for(live, timedelta(0))

        assert ada.dismissed == "token_expired"

    async def test_tokens_end_by_wall_time_after_the_clock_was_corrected(
        self, live: LiveChat
    ) -> None:
        live.clock.set_wall_time(-2 * HOUR)
        ada = await live.connect(ADA, live.clock.wall_time() + HOUR)

        live.clock.advance(HOUR - MOMENT)
        assert ada.dismissed is None

        live.clock.advance(MOMENT)
        assert ada.dismissed == "token_expired"

    async def test_clock_set_forward_ends_tokens_within_five_minutes(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)

        live.clock.set_wall_time(2 * HOUR)
        live.clock.advance(5 * MINUTE)

        assert ada.dismissed == "token_expired"

    async def test_each_connection_has_an_end_of_its_own(self, live: LiveChat) -> None:
        laptop, phone = await connect_for(live, 2 * HOUR), await connect_for(live, HOUR)
        tablet = await live.connect(ADA)

        live.clock.advance(HOUR)
        assert [each.dismissed for each in (laptop, phone, tablet)] == [None, "token_expired", None]

        live.clock.advance(HOUR)
        assert laptop.dismissed == "token_expired"
        assert tablet.dismissed is None
        assert phone.of(TokenExpiring) == [TokenExpiring(live.clock.now() - HOUR, MINUTE)]

    async def test_a_token_of_years_ends_when_it_does(self, live: LiveChat) -> None:
        ada = await connect_for(live, timedelta(days=400))

        live.clock.advance(timedelta(days=400) - MOMENT)
        assert ada.dismissed is None
        live.clock.advance(MOMENT)
        assert ada.dismissed == "token_expired"

    async def test_nothing_waits_for_connections_that_are_gone(self, live: LiveChat) -> None:
        for device in [await connect_for(live, HOUR) for _ in range(3)]:
            device.close()

        assert live.clock._due(ends_in(live, 2 * HOUR)) == []


class TestRefreshing:
    async def test_a_connection_lives_as_long_as_its_new_token(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        live.clock.advance(HOUR - SECOND)

        answer = await ada.do(another_token(live, HOUR))

        assert answer == TokenRefreshed(ends_in(live, HOUR))
        live.clock.advance(HOUR - MOMENT)
        assert ada.dismissed is None
        assert len(ada.of(TokenExpiring)) == 2
        live.clock.advance(MOMENT)
        assert ada.dismissed == "token_expired"

    @pytest.mark.parametrize("seconds", [2, 60])
    async def test_a_client_that_refreshes_short_lived_tokens_is_warned_once_for_each(
        self, live: LiveChat, seconds: int
    ) -> None:
        life = seconds * SECOND
        ada = await connect_for(live, life)

        for warnings in range(1, 11):
            live.clock.advance(life / 2)
            assert len(ada.of(TokenExpiring)) == warnings
            await ada.do(another_token(live, life))

        assert len(ada.of(TokenExpiring)) == 10
        assert ada.dismissed is None

    async def test_a_client_that_has_no_better_token_is_not_warned_again(
        self, live: LiveChat
    ) -> None:
        ada = await connect_for(live, HOUR)
        live.clock.advance(HOUR - MINUTE)

        await ada.do(another_token(live, MINUTE))
        live.clock.advance(MINUTE - MOMENT)
        await ada.do(another_token(live, MOMENT))

        assert len(ada.of(TokenExpiring)) == 1
        assert ada.dismissed is None
        live.clock.advance(MOMENT)
        assert ada.dismissed == "token_expired"

    async def test_a_new_token_without_an_end_has_none(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)

        assert await ada.do(another_token(live, None)) == TokenRefreshed(None)

        live.clock.advance(2 * HOUR)
        assert ada.dismissed is None
        assert ada.of(TokenExpiring) == []

    async def test_another_users_token_is_refused_and_changes_nothing(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        live.tokens["bobs"] = Identity(BOB, ends_in(live, 2 * HOUR))

        with pytest.raises(Unauthenticated):
            await ada.do(RefreshToken("bobs"))

        live.clock.advance(HOUR)
        assert ada.dismissed == "token_expired"

    async def test_a_token_that_is_no_good_is_refused_and_changes_nothing(
        self, live: LiveChat
    ) -> None:
        ada = await connect_for(live, HOUR)
        live.tokens["old"] = Identity(ADA, live.clock.now())

        with pytest.raises(Unauthenticated):
            await ada.do(RefreshToken("nonsense"))
        with pytest.raises(TokenExpired):
            await ada.do(RefreshToken("old"))

        live.clock.advance(HOUR - MOMENT)
        assert ada.dismissed is None

    async def test_only_the_connection_that_asks_is_renewed(self, live: LiveChat) -> None:
        laptop, phone = await connect_for(live, HOUR), await connect_for(live, HOUR)

        await laptop.do(another_token(live, 2 * HOUR))

        live.clock.advance(HOUR)
        assert [each.dismissed for each in (laptop, phone)] == [None, "token_expired"]

    async def test_a_connection_that_has_gone_meanwhile_is_not_kept(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        asking = asyncio.create_task(ada.do(another_token(live, 2 * HOUR)))
        await asyncio.sleep(0)
        ada.close()

        await asking

        assert live.clock._due(ends_in(live, 3 * HOUR)) == []

    async def test_the_host_has_no_token(self, live: LiveChat) -> None:
        with pytest.raises(InvalidPayload):
            await live.host(ADA, another_token(live, HOUR))

    async def test_a_token_is_not_shown(self) -> None:
        assert "secret" not in repr(RefreshToken("secret"))


class TestRevocation:
    async def test_all_of_a_users_connections_end_and_nobody_elses(self, live: LiveChat) -> None:
        laptop, phone, bob = [await live.connect(each) for each in (ADA, ADA, BOB)]

        live.chat.disconnect_user(ADA)

        assert [each.dismissed for each in (laptop, phone, bob)] == [
            "disconnected",
            "disconnected",
            None,
        ]

    async def test_a_user_who_is_not_here_is_none_to_disconnect(self, live: LiveChat) -> None:
        bob = await live.connect(BOB)

        live.chat.disconnect_user("somebody")

        assert bob.dismissed is None
