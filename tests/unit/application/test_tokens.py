"""Token expiry and refresh of open connections."""

import asyncio
from datetime import datetime, timedelta

import pytest

from socketio_app.application.commands import RefreshToken, TokenRefreshed
from socketio_app.application.events import Connected, TokenExpiring
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import InvalidPayload, TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import as_user_id
from tests.builders import ADA, BOB
from tests.chat_harness import Device, LiveChat

pytestmark = pytest.mark.anyio

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def live() -> LiveChat:
    return LiveChat()


def expiry_after(live: LiveChat, lifetime: timedelta) -> datetime:
    return live.clock.now() + lifetime


async def connect_for(live: LiveChat, lifetime: timedelta) -> Device:
    return await live.connect(ADA, expiry_after(live, lifetime))


def another_token(live: LiveChat, lifetime: timedelta | None) -> RefreshToken:
    """Return a command with a new valid token of Ada's."""
    ends_at = None if lifetime is None else expiry_after(live, lifetime)
    live.tokens["another"] = Identity(ADA, ends_at)
    return RefreshToken("another")


class TestExpiry:
    async def test_connection_is_closed_when_token_expires(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)

        live.clock.advance(HOUR - MOMENT)
        assert ada.disconnect_reason is None

        live.clock.advance(MOMENT)
        assert ada.disconnect_reason == "token_expired"

    async def test_warning_is_sent_once_a_minute_before_expiry(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        expiring = TokenExpiring(expiry_after(live, HOUR), MINUTE)

        live.clock.advance(HOUR - MINUTE - MOMENT)
        assert ada.of(TokenExpiring) == []

        live.clock.advance(MINUTE)
        assert ada.of(TokenExpiring) == [expiring]

    @pytest.mark.parametrize("seconds", [2, 5, 60, 90, 120])
    async def test_warning_for_short_lived_token_is_sent_halfway(
        self, live: LiveChat, seconds: int
    ) -> None:
        life = seconds * SECOND
        ada = await connect_for(live, life)
        expiring = TokenExpiring(expiry_after(live, life), life / 2)

        live.clock.advance(life / 2 - MOMENT)
        assert list(map(type, ada.events)) == [Connected]

        live.clock.advance(MOMENT)
        assert ada.of(TokenExpiring) == [expiring]
        live.clock.advance(life / 2)
        assert ada.disconnect_reason == "token_expired"

    async def test_token_expired_while_opening_closes_connection(self, live: LiveChat) -> None:
        ada = await connect_for(live, timedelta(0))

        assert ada.disconnect_reason == "token_expired"

    async def test_tokens_expire_by_wall_time(self, live: LiveChat) -> None:
        live.clock.set_wall_time(-2 * HOUR)
        ada = await live.connect(ADA, live.clock.wall_time() + HOUR)

        live.clock.advance(HOUR - MOMENT)
        assert ada.disconnect_reason is None

        live.clock.advance(MOMENT)
        assert ada.disconnect_reason == "token_expired"

    async def test_clock_set_forward_expires_tokens_within_five_minutes(
        self, live: LiveChat
    ) -> None:
        ada = await connect_for(live, HOUR)

        live.clock.set_wall_time(2 * HOUR)
        live.clock.advance(5 * MINUTE)

        assert ada.disconnect_reason == "token_expired"

    async def test_expiry_is_per_connection(self, live: LiveChat) -> None:
        laptop, phone = await connect_for(live, 2 * HOUR), await connect_for(live, HOUR)
        tablet = await live.connect(ADA)

        live.clock.advance(HOUR)
        assert [each.disconnect_reason for each in (laptop, phone, tablet)] == [
            None,
            "token_expired",
            None,
        ]

        live.clock.advance(HOUR)
        assert laptop.disconnect_reason == "token_expired"
        assert tablet.disconnect_reason is None
        assert phone.of(TokenExpiring) == [TokenExpiring(live.clock.now() - HOUR, MINUTE)]

    async def test_long_lived_token_expires_on_time(self, live: LiveChat) -> None:
        ada = await connect_for(live, timedelta(days=400))

        live.clock.advance(timedelta(days=400) - MOMENT)
        assert ada.disconnect_reason is None
        live.clock.advance(MOMENT)
        assert ada.disconnect_reason == "token_expired"

    async def test_no_timer_is_kept_for_closed_connections(self, live: LiveChat) -> None:
        for device in [await connect_for(live, HOUR) for _ in range(3)]:
            device.close()

        assert live.clock._due(expiry_after(live, 2 * HOUR)) == []


class TestRefresh:
    async def test_refreshed_token_extends_connection(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        live.clock.advance(HOUR - SECOND)

        answer = await ada.execute(another_token(live, HOUR))

        assert answer == TokenRefreshed(expiry_after(live, HOUR))
        live.clock.advance(HOUR - MOMENT)
        assert ada.disconnect_reason is None
        assert len(ada.of(TokenExpiring)) == 2
        live.clock.advance(MOMENT)
        assert ada.disconnect_reason == "token_expired"

    @pytest.mark.parametrize("seconds", [2, 60])
    async def test_each_refreshed_token_is_warned_about_once(
        self, live: LiveChat, seconds: int
    ) -> None:
        life = seconds * SECOND
        ada = await connect_for(live, life)

        for warnings in range(1, 11):
            live.clock.advance(life / 2)
            assert len(ada.of(TokenExpiring)) == warnings
            await ada.execute(another_token(live, life))

        assert len(ada.of(TokenExpiring)) == 10
        assert ada.disconnect_reason is None

    async def test_refresh_without_later_expiry_is_not_warned_about_again(
        self, live: LiveChat
    ) -> None:
        ada = await connect_for(live, HOUR)
        live.clock.advance(HOUR - MINUTE)

        await ada.execute(another_token(live, MINUTE))
        live.clock.advance(MINUTE - MOMENT)
        await ada.execute(another_token(live, MOMENT))

        assert len(ada.of(TokenExpiring)) == 1
        assert ada.disconnect_reason is None
        live.clock.advance(MOMENT)
        assert ada.disconnect_reason == "token_expired"

    async def test_refresh_with_unlimited_token_removes_expiry(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)

        assert await ada.execute(another_token(live, None)) == TokenRefreshed(None)

        live.clock.advance(2 * HOUR)
        assert ada.disconnect_reason is None
        assert ada.of(TokenExpiring) == []

    async def test_refresh_with_token_of_another_user_is_rejected(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        live.tokens["bobs"] = Identity(BOB, expiry_after(live, 2 * HOUR))

        with pytest.raises(Unauthenticated):
            await ada.execute(RefreshToken("bobs"))

        live.clock.advance(HOUR)
        assert ada.disconnect_reason == "token_expired"

    async def test_refresh_with_invalid_token_is_rejected(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        live.tokens["old"] = Identity(ADA, live.clock.now())

        with pytest.raises(Unauthenticated):
            await ada.execute(RefreshToken("nonsense"))
        with pytest.raises(TokenExpired):
            await ada.execute(RefreshToken("old"))

        live.clock.advance(HOUR - MOMENT)
        assert ada.disconnect_reason is None

    async def test_refresh_affects_only_its_connection(self, live: LiveChat) -> None:
        laptop, phone = await connect_for(live, HOUR), await connect_for(live, HOUR)

        await laptop.execute(another_token(live, 2 * HOUR))

        live.clock.advance(HOUR)
        assert [each.disconnect_reason for each in (laptop, phone)] == [None, "token_expired"]

    async def test_refresh_of_closed_connection_sets_no_timer(self, live: LiveChat) -> None:
        ada = await connect_for(live, HOUR)
        refreshing = asyncio.create_task(ada.execute(another_token(live, 2 * HOUR)))
        await asyncio.sleep(0)
        ada.close()

        await refreshing

        assert live.clock._due(expiry_after(live, 3 * HOUR)) == []

    async def test_host_cannot_refresh_token(self, live: LiveChat) -> None:
        with pytest.raises(InvalidPayload):
            await live.host(ADA, another_token(live, HOUR))

    async def test_token_is_not_in_repr(self) -> None:
        assert "secret" not in repr(RefreshToken("secret"))


class TestDisconnectUser:
    async def test_disconnect_user_closes_all_of_their_connections(self, live: LiveChat) -> None:
        laptop, phone, bob = [await live.connect(each) for each in (ADA, ADA, BOB)]

        live.chat.disconnect_user(ADA)

        assert [each.disconnect_reason for each in (laptop, phone, bob)] == [
            "disconnected",
            "disconnected",
            None,
        ]

    async def test_user_of_an_integer_id_is_disconnected(self, live: LiveChat) -> None:
        seven = await live.connect(as_user_id(7))

        live.chat.disconnect_user(7)

        assert seven.disconnect_reason == "disconnected"

    async def test_disconnecting_offline_user_does_nothing(self, live: LiveChat) -> None:
        bob = await live.connect(BOB)

        live.chat.disconnect_user("somebody")

        assert bob.disconnect_reason is None
