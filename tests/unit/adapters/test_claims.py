"""Validation of a token's claims, and the identity in them."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.claims import ClaimsPolicy
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from tests.unit.adapters.jwt.forging import NOW, claims, seconds_from_now

INVALID_NUMERIC_DATES = [
    pytest.param(None, id="null"),
    pytest.param("5000000000", id="a string"),
    pytest.param(True, id="a boolean"),
    pytest.param([5], id="a list"),
    pytest.param({}, id="an object"),
    pytest.param(math.inf, id="infinity"),
    pytest.param(-math.inf, id="minus infinity"),
    pytest.param(math.nan, id="not a number"),
    pytest.param(10**400, id="too large for a float"),
]
NO_MAX_LIFETIME = ClaimsPolicy(max_lifetime=None)
WITH_LEEWAY = ClaimsPolicy(leeway=timedelta(seconds=30))


def identity(policy: ClaimsPolicy | None = None, **changed: Any) -> Identity:
    return (policy or ClaimsPolicy()).identity(claims(**changed), NOW)


def is_accepted(policy: ClaimsPolicy | None = None, **changed: Any) -> bool:
    return identity(policy, **changed).user_id == "ada"


def is_rejected(policy: ClaimsPolicy | None = None, **changed: Any) -> bool:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        identity(policy, **changed)
    return True


def is_rejected_without(name: str, policy: ClaimsPolicy | None = None) -> bool:
    left = {key: value for key, value in claims().items() if key != name}
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        (policy or ClaimsPolicy()).identity(left, NOW)
    return True


def named(name: str, value: object) -> dict[str, Any]:
    return {name: value}


class TestSubject:
    @pytest.mark.parametrize("subject", ["a", "x" * 128, "Ada Lovelace", "日本", "😀" * 128, "1"])
    def test_subject_is_the_user_id(self, subject: str) -> None:
        assert identity(sub=subject).user_id == subject

    @pytest.mark.parametrize(
        "subject",
        [
            "",
            "x" * 129,
            "\ud800",
            None,
            1.0,
            True,
            ["ada"],
            {},
            10**128,
            pytest.param(10**5000, id="an integer that is too long"),
        ],
    )
    def test_subject_that_is_not_a_user_id_is_rejected(self, subject: object) -> None:
        assert is_rejected(sub=subject)

    @pytest.mark.parametrize(
        ("subject", "user"), [(1, "1"), (0, "0"), (-7, "-7"), (2**63, str(2**63))]
    )
    def test_integer_is_converted_to_its_decimal_string(self, subject: int, user: str) -> None:
        assert identity(sub=subject).user_id == user

    def test_user_claim_replaces_the_subject(self) -> None:
        policy = ClaimsPolicy(user_claim="user_id")

        assert identity(policy, user_id=17).user_id == "17"
        assert is_rejected(policy)

    def test_subject_is_required(self) -> None:
        assert is_rejected_without("sub")


class TestExpiry:
    def test_expiry_is_required(self) -> None:
        assert is_rejected_without("exp")

    @pytest.mark.parametrize("expiry", INVALID_NUMERIC_DATES)
    def test_expiry_that_is_not_a_finite_number_is_rejected(self, expiry: object) -> None:
        assert is_rejected(exp=expiry)

    @pytest.mark.parametrize("ago", [0, 0.001, 1, 1e9, 1e300])
    def test_token_is_expired_at_and_after_its_expiry(self, ago: float) -> None:
        with pytest.raises(TokenExpired, match=r"^the token has expired$"):
            identity(exp=seconds_from_now(-ago))

    def test_token_is_valid_just_before_its_expiry(self) -> None:
        assert is_accepted(exp=seconds_from_now(0.001))

    def test_expiry_may_be_past_by_less_than_the_leeway(self) -> None:
        assert is_accepted(WITH_LEEWAY, exp=seconds_from_now(-29.9))
        with pytest.raises(TokenExpired):
            identity(WITH_LEEWAY, exp=seconds_from_now(-30))

    def test_expiry_is_in_utc_and_whole_milliseconds(self) -> None:
        ends = identity(exp=seconds_from_now(1.5678)).expires_at

        assert ends == NOW + timedelta(milliseconds=1567)
        assert ends.tzinfo is UTC

    @given(st.floats(min_value=0.001, max_value=1e7))
    def test_expiry_is_truncated_by_less_than_a_millisecond(self, ahead: float) -> None:
        end = seconds_from_now(ahead)

        expires_at = identity(exp=end).expires_at

        assert expires_at is not None
        assert expires_at.microsecond % 1000 == 0
        assert -1e-6 < end - expires_at.timestamp() < 0.001001

    @pytest.mark.parametrize("ahead", [366 * 86400 + 1, 1e12, 1e300, 10**300])
    def test_expiry_is_at_most_a_year_ahead_by_default(self, ahead: float) -> None:
        assert is_accepted(exp=seconds_from_now(366 * 86400))
        assert is_rejected(exp=seconds_from_now(ahead))

    @pytest.mark.parametrize("end", [253402300799, 253402300799.9999, 253402300800, 1e300, 10**300])
    def test_expiry_after_the_year_9999_is_clamped(self, end: float) -> None:
        ends = identity(NO_MAX_LIFETIME, exp=end).expires_at

        assert ends is not None
        assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) <= ends

    def test_maximum_lifetime_beyond_the_year_9999_is_no_limit(self) -> None:
        assert is_accepted(ClaimsPolicy(max_lifetime=timedelta.max), exp=1e12)


class TestNotBeforeAndIssuedAt:
    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("ago", [0, 0.5, 1e6, 1e300])
    def test_time_in_the_past_is_accepted(self, name: str, ago: float) -> None:
        assert is_accepted(**named(name, seconds_from_now(-ago)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("ahead", [0.001, 1, 1e300])
    def test_time_in_the_future_is_rejected(self, name: str, ahead: float) -> None:
        assert is_rejected(**named(name, seconds_from_now(ahead)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    def test_time_may_be_ahead_by_the_leeway(self, name: str) -> None:
        assert is_accepted(WITH_LEEWAY, **named(name, seconds_from_now(30)))
        assert is_rejected(WITH_LEEWAY, **named(name, seconds_from_now(30.1)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("value", INVALID_NUMERIC_DATES)
    def test_time_that_is_not_a_finite_number_is_rejected(self, name: str, value: object) -> None:
        assert is_rejected(**named(name, value))


class TestIssuer:
    POLICY = ClaimsPolicy(issuers=frozenset({"https://issuer", "https://second"}))

    @pytest.mark.parametrize("issuer", ["https://issuer", "https://second"])
    def test_configured_issuer_is_accepted(self, issuer: str) -> None:
        assert is_accepted(self.POLICY, iss=issuer)

    @pytest.mark.parametrize(
        "issuer", ["", "https://issuer/", "HTTPS://ISSUER", None, 5, ["https://issuer"]]
    )
    def test_other_issuer_is_rejected(self, issuer: object) -> None:
        assert is_rejected(self.POLICY, iss=issuer)

    def test_configured_issuer_is_required(self) -> None:
        assert is_rejected_without("iss", self.POLICY)

    def test_any_issuer_is_accepted_if_none_is_configured(self) -> None:
        assert is_accepted(iss="https://any")


class TestAudience:
    POLICY = ClaimsPolicy(audience=frozenset({"chat", "api"}))

    @pytest.mark.parametrize("audience", ["chat", "api", ["chat"], ["other", "api"]])
    def test_configured_audience_is_accepted(self, audience: object) -> None:
        assert is_accepted(self.POLICY, aud=audience)

    @pytest.mark.parametrize(
        "audience",
        [
            "",
            "cha",
            "chat ",
            "chat,api",
            [],
            ["other"],
            [["chat"]],
            ["chat", 5],
            None,
            5,
            {"chat": 1},
        ],
    )
    def test_other_audience_is_rejected(self, audience: object) -> None:
        assert is_rejected(self.POLICY, aud=audience)

    def test_configured_audience_is_required(self) -> None:
        assert is_rejected_without("aud", self.POLICY)

    @pytest.mark.parametrize("audience", ["chat", ["chat"], [], "", None])
    def test_any_audience_is_rejected_if_none_is_configured(self, audience: object) -> None:
        assert is_rejected(aud=audience)


def test_expired_token_that_is_otherwise_invalid_is_not_reported_as_expired() -> None:
    past = seconds_from_now(-1)

    assert is_rejected(
        ClaimsPolicy(issuers=frozenset({"https://issuer"})), exp=past, iss="https://attacker"
    )
    assert is_rejected(exp=past, aud="other")
    assert is_rejected(exp=past, sub="")


@pytest.mark.parametrize(
    ("policy", "changed", "reason"),
    [
        (ClaimsPolicy(), {"sub": None}, "the user's id is missing or of type NoneType"),
        (ClaimsPolicy(), {"sub": ""}, "user_id must be 1 to 128 characters"),
        (ClaimsPolicy(user_claim="uid"), {}, "the claim uid is missing (JWT_USER_CLAIM)"),
        (ClaimsPolicy(), {"exp": None}, "exp is missing or not a number"),
        (ClaimsPolicy(), {"exp": math.inf}, "exp is not a finite number"),
        (ClaimsPolicy(), {"exp": 1e12}, "exp is further ahead than JWT_MAX_LIFETIME_DAYS allows"),
        (
            ClaimsPolicy(issuers=frozenset({"us"})),
            {"iss": "them"},
            "iss is missing or not in JWT_ISSUER",
        ),
        (ClaimsPolicy(), {"aud": "app"}, "the token has an aud, but JWT_AUDIENCE is not set"),
        (
            ClaimsPolicy(audience=frozenset({"chat"})),
            {"aud": "app"},
            "aud is missing or not in JWT_AUDIENCE",
        ),
        (
            ClaimsPolicy(),
            {"iat": seconds_from_now(3)},
            "iat is 3 s in the future; JWT_LEEWAY_SECONDS allows for clock skew",
        ),
        (ClaimsPolicy(), {"nbf": "soon"}, "nbf is missing or not a number"),
    ],
)
def test_rejection_has_a_reason_for_the_operator(
    policy: ClaimsPolicy, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unauthenticated) as rejection:
        identity(policy, **changed)

    assert rejection.value.reason == reason


def test_reason_for_an_expired_token_has_its_age() -> None:
    with pytest.raises(TokenExpired) as rejection:
        identity(exp=seconds_from_now(-90))

    assert rejection.value.reason == "exp was 90 s ago"
