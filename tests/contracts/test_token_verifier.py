"""Contract of every token verifier."""

from collections.abc import Callable
from datetime import UTC, timedelta

import attrs
import pytest

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.adapters.jwt import JwtVerifier, KeySet, sign_token
from socketio_app.application.ports import Identity, TokenVerifier
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import UserId
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    SECRET,
    private_pem,
    public_pem,
    secret_web_key,
    web_key,
    web_key_set,
)

pytestmark = pytest.mark.anyio

ADA, BOB = UserId("ada"), UserId("bob")
MINUTE = timedelta(minutes=1)


@attrs.frozen
class Issuing:
    """A verifier, and the issuer of the tokens that it accepts."""

    clock: ManualClock
    verifier: TokenVerifier
    issue: Callable[[UserId, timedelta], str]

    async def rejection(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as error:
            await self.verifier.verify(token)
        return error.value.message


def issuing_jwt(keys: KeySet, key: str, algorithm: str) -> Issuing:
    clock = ManualClock()

    def issue(user_id: UserId, lifetime: timedelta) -> str:
        return sign_token(
            user_id, key=key, algorithm=algorithm, now=clock.wall_time(), lifetime=lifetime
        )

    return Issuing(clock, JwtVerifier(keys, clock), issue)


def hs256() -> Issuing:
    return issuing_jwt(KeySet.from_secret(SECRET, ["HS256"]), SECRET, "HS256")


def rs256() -> Issuing:
    keys = KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])
    return issuing_jwt(keys, private_pem(RSA_KEY).decode(), "RS256")


def es256() -> Issuing:
    keys = KeySet.from_pem(public_pem(EC_KEY), ["ES256"])
    return issuing_jwt(keys, private_pem(EC_KEY).decode(), "ES256")


def jwks() -> Issuing:
    document = web_key_set(
        web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="b"), secret_web_key(SECRET, kid="c")
    )
    keys = KeySet.from_jwks(document, ["RS256", "ES256", "HS256"])
    return issuing_jwt(keys, private_pem(EC_KEY).decode(), "ES256")


def host() -> Issuing:
    """A host application that looks up its own sessions."""
    return issuing_sessions(lambda sessions, token: sessions.get(token))


def async_host() -> Issuing:
    async def claims_of(sessions: dict[str, Identity], token: str) -> dict[str, object]:
        identity = sessions[token]
        end = identity.expires_at.timestamp() if identity.expires_at else None
        return {"sub": identity.user_id, "exp": end}

    return issuing_sessions(claims_of)


def issuing_sessions(look_up: Callable[[dict[str, Identity], str], object]) -> Issuing:
    clock = ManualClock()
    sessions: dict[str, Identity] = {}

    def issue(user_id: UserId, lifetime: timedelta) -> str:
        token = f"session-{len(sessions)}"
        sessions[token] = Identity(user_id, clock.wall_time() + lifetime)
        return token

    return Issuing(clock, CustomVerifier(lambda token: look_up(sessions, token), clock), issue)


@pytest.fixture(params=[hs256, rs256, es256, jwks, host, async_host])
def issuing(request: pytest.FixtureRequest) -> Issuing:
    issuing: Issuing = request.param()
    return issuing


async def test_token_proves_the_user_that_it_was_issued_to(issuing: Issuing) -> None:
    of_ada, of_bob = issuing.issue(ADA, MINUTE), issuing.issue(BOB, MINUTE)

    identities = [await issuing.verifier.verify(token) for token in (of_ada, of_bob)]

    assert [identity.user_id for identity in identities] == [ADA, BOB]


async def test_new_token_is_accepted_after_the_system_time_was_set_back(issuing: Issuing) -> None:
    """`Clock.now` stays ahead, but another machine dates the tokens."""
    issuing.clock.advance(timedelta(hours=2))
    issuing.clock.set_wall_time(-timedelta(hours=2))

    identity = await issuing.verifier.verify(issuing.issue(ADA, MINUTE))

    assert identity.user_id == ADA
    assert identity.expires_at == issuing.clock.wall_time() + MINUTE


async def test_repeated_verification_returns_the_same_identity(issuing: Issuing) -> None:
    token = issuing.issue(ADA, MINUTE)

    assert await issuing.verifier.verify(token) == await issuing.verifier.verify(token)


@pytest.mark.parametrize("user_id", ["x", "x" * 128, "日本 😀", '"}', "42"])
async def test_user_id_is_unchanged(issuing: Issuing, user_id: str) -> None:
    identity = await issuing.verifier.verify(issuing.issue(UserId(user_id), MINUTE))

    assert identity.user_id == user_id


async def test_expiry_is_in_utc(issuing: Issuing) -> None:
    identity = await issuing.verifier.verify(issuing.issue(ADA, MINUTE))

    assert identity.expires_at == issuing.clock.now() + MINUTE
    assert identity.expires_at.tzinfo is UTC


async def test_token_is_valid_until_its_expiry_and_expired_from_then_on(
    issuing: Issuing,
) -> None:
    token = issuing.issue(ADA, MINUTE)

    issuing.clock.advance(MINUTE - timedelta(milliseconds=1))
    assert (await issuing.verifier.verify(token)).user_id == ADA

    issuing.clock.advance(timedelta(milliseconds=1))
    with pytest.raises(TokenExpired):
        await issuing.verifier.verify(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "null", "\0", "\ud800", "x" * 100_000])
async def test_invalid_token_is_rejected(issuing: Issuing, token: str) -> None:
    assert await issuing.rejection(token)


async def test_truncated_token_is_rejected(issuing: Issuing) -> None:
    token = issuing.issue(ADA, MINUTE)

    assert await issuing.rejection(token[:-1])


async def test_token_of_another_issuer_is_rejected(issuing: Issuing) -> None:
    other = sign_token(
        ADA, key="x" * 32, algorithm="HS256", now=issuing.clock.now(), lifetime=MINUTE
    )

    assert await issuing.rejection(other)


async def test_every_rejection_has_the_same_message(issuing: Issuing) -> None:
    token = issuing.issue(ADA, MINUTE)

    rejections = {
        await issuing.rejection(invalid) for invalid in ("", "a.b.c", token + "x", token[:-1])
    }

    assert rejections == {"the token is not valid"}


async def test_token_is_not_logged(issuing: Issuing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = issuing.issue(ADA, MINUTE)

    await issuing.verifier.verify(token)
    await issuing.rejection(token + "x")

    assert token not in caplog.text
