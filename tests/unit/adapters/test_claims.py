"""What the claims of a token must be, and whom they prove."""

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

NO_NUMERIC_DATES = [
    pytest.param(None, id="null"),
    pytest.param("5000000000", id="a string"),
    pytest.param(True, id="a boolean"),
    pytest.param([5], id="a list"),
    pytest.param({}, id="an object"),
    pytest.param(math.inf, id="infinity"),
    pytest.param(-math.inf, id="minus infinity"),
    pytest.param(math.nan, id="no number"),
    pytest.param(10**400, id="too large for a float"),
]
WITHOUT_LIMIT = ClaimsPolicy(max_lifetime=None)
WITH_LEEWAY = ClaimsPolicy(leeway=timedelta(seconds=30))


def identity(policy: ClaimsPolicy | None = None, **changed: Any) -> Identity:
    return (policy or ClaimsPolicy()).identity(claims(**changed), NOW)


def is_let_in(policy: ClaimsPolicy | None = None, **changed: Any) -> bool:
    return identity(policy, **changed).user_id == "ada"


def is_refused(policy: ClaimsPolicy | None = None, **changed: Any) -> bool:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        identity(policy, **changed)
    return True


def is_refused_without(name: str, policy: ClaimsPolicy | None = None) -> bool:
    left = {key: value for key, value in claims().items() if key != name}
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        (policy or ClaimsPolicy()).identity(left, NOW)
    return True


def named(name: str, value: object) -> dict[str, Any]:
    return {name: value}


class TestSubject:
    @pytest.mark.parametrize("subject", ["a", "x" * 128, "Ada Lovelace", "日本", "😀" * 128, "1"])
    def test_it_is_the_user(self, subject: str) -> None:
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
            pytest.param(10**5000, id="too long an integer"),
        ],
    )
    def test_what_is_no_users_id_is_refused(self, subject: object) -> None:
        assert is_refused(sub=subject)

    @pytest.mark.parametrize(
        ("subject", "user"), [(1, "1"), (0, "0"), (-7, "-7"), (2**63, str(2**63))]
    )
    def test_integer_is_read_as_its_decimal_string(self, subject: int, user: str) -> None:
        assert identity(sub=subject).user_id == user

    def test_another_claim_names_the_user_where_one_is_configured(self) -> None:
        policy = ClaimsPolicy(user_claim="user_id")

        assert identity(policy, user_id=17).user_id == "17"
        assert is_refused(policy)

    def test_it_is_needed(self) -> None:
        assert is_refused_without("sub")


class TestEnd:
    def test_it_is_needed(self) -> None:
        assert is_refused_without("exp")

    @pytest.mark.parametrize("end", NO_NUMERIC_DATES)
    def test_what_is_no_finite_number_is_refused(self, end: object) -> None:
        assert is_refused(exp=end)

    @pytest.mark.parametrize("ago", [0, 0.001, 1, 1e9, 1e300])
    def test_who_is_past_it_has_expired(self, ago: float) -> None:
        with pytest.raises(TokenExpired, match=r"^the token has expired$"):
            identity(exp=seconds_from_now(-ago))

    def test_who_is_just_before_it_has_not(self) -> None:
        assert is_let_in(exp=seconds_from_now(0.001))

    def test_it_may_be_past_by_less_than_the_leeway(self) -> None:
        assert is_let_in(WITH_LEEWAY, exp=seconds_from_now(-29.9))
        with pytest.raises(TokenExpired):
            identity(WITH_LEEWAY, exp=seconds_from_now(-30))

    def test_it_is_told_in_utc_and_whole_milliseconds(self) -> None:
        ends = identity(exp=seconds_from_now(1.5678)).expires_at

        assert ends == NOW + timedelta(milliseconds=1567)
        assert ends.tzinfo is UTC

    @given(st.floats(min_value=0.001, max_value=1e7))
    def test_it_is_told_exactly_but_for_less_than_a_millisecond(self, ahead: float) -> None:
        end = seconds_from_now(ahead)

        told = identity(exp=end).expires_at

        assert told is not None
        assert told.microsecond % 1000 == 0
        assert -1e-6 < end - told.timestamp() < 0.001001

    @pytest.mark.parametrize("ahead", [366 * 86400 + 1, 1e12, 1e300, 10**300])
    def test_it_is_at_most_a_year_ahead(self, ahead: float) -> None:
        assert is_let_in(exp=seconds_from_now(366 * 86400))
        assert is_refused(exp=seconds_from_now(ahead))

    @pytest.mark.parametrize("end", [253402300799, 253402300799.9999, 253402300800, 1e300, 10**300])
    def test_without_a_limit_the_last_date_of_all_stands_for_later_ones(self, end: float) -> None:
        ends = identity(WITHOUT_LIMIT, exp=end).expires_at

        assert ends is not None
        assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) <= ends

    def test_a_limit_that_is_longer_than_dates_go_is_none(self) -> None:
        assert is_let_in(ClaimsPolicy(max_lifetime=timedelta.max), exp=1e12)


class TestBeginning:
    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("ago", [0, 0.5, 1e6, 1e300])
    def test_it_may_be_in_the_past(self, name: str, ago: float) -> None:
        assert is_let_in(**named(name, seconds_from_now(-ago)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("ahead", [0.001, 1, 1e300])
    def test_in_the_future_it_is_refused(self, name: str, ahead: float) -> None:
        assert is_refused(**named(name, seconds_from_now(ahead)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    def test_it_may_be_ahead_by_the_leeway(self, name: str) -> None:
        assert is_let_in(WITH_LEEWAY, **named(name, seconds_from_now(30)))
        assert is_refused(WITH_LEEWAY, **named(name, seconds_from_now(30.1)))

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize("beginning", NO_NUMERIC_DATES)
    def test_what_is_no_finite_number_is_refused(self, name: str, beginning: object) -> None:
        assert is_refused(**named(name, beginning))


class TestIssuer:
    POLICY = ClaimsPolicy(issuer="https://issuer")

    def test_the_configured_one_is_let_in(self) -> None:
        assert is_let_in(self.POLICY, iss="https://issuer")

    @pytest.mark.parametrize(
        "issuer", ["", "https://issuer/", "HTTPS://ISSUER", None, 5, ["https://issuer"]]
    )
    def test_any_other_is_refused(self, issuer: object) -> None:
        assert is_refused(self.POLICY, iss=issuer)

    def test_where_one_is_configured_it_is_needed(self) -> None:
        assert is_refused_without("iss", self.POLICY)

    def test_where_none_is_configured_it_is_no_matter(self) -> None:
        assert is_let_in(iss="https://anybody")


class TestAudience:
    POLICY = ClaimsPolicy(audience=frozenset({"chat", "api"}))

    @pytest.mark.parametrize("audience", ["chat", "api", ["chat"], ["other", "api"]])
    def test_one_of_the_configured_ones_is_let_in(self, audience: object) -> None:
        assert is_let_in(self.POLICY, aud=audience)

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
    def test_any_other_is_refused(self, audience: object) -> None:
        assert is_refused(self.POLICY, aud=audience)

    def test_where_one_is_configured_it_is_needed(self) -> None:
        assert is_refused_without("aud", self.POLICY)

    @pytest.mark.parametrize("audience", ["chat", ["chat"], [], "", None])
    def test_where_none_is_configured_a_token_for_somebody_is_refused(
        self, audience: object
    ) -> None:
        assert is_refused(aud=audience)


def test_an_expired_token_for_somebody_else_is_not_told_that_it_has_expired() -> None:
    past = seconds_from_now(-1)

    assert is_refused(ClaimsPolicy(issuer="https://issuer"), exp=past, iss="https://attacker")
    assert is_refused(exp=past, aud="other")
    assert is_refused(exp=past, sub="")


@pytest.mark.parametrize(
    ("policy", "changed", "reason"),
    [
        (ClaimsPolicy(), {"sub": None}, "the user's id is missing or of type NoneType"),
        (ClaimsPolicy(), {"sub": ""}, "user_id must be 1 to 128 characters"),
        (ClaimsPolicy(user_claim="uid"), {}, "the claim uid is missing (JWT_USER_CLAIM)"),
        (ClaimsPolicy(), {"exp": None}, "exp is missing or not a number"),
        (ClaimsPolicy(), {"exp": math.inf}, "exp is not a finite number"),
        (ClaimsPolicy(), {"exp": 1e12}, "exp is further ahead than JWT_MAX_LIFETIME_DAYS"),
        (ClaimsPolicy(issuer="us"), {"iss": "them"}, "iss is missing or not JWT_ISSUER"),
        (ClaimsPolicy(), {"aud": "app"}, "the token has an aud and JWT_AUDIENCE is not set"),
        (
            ClaimsPolicy(audience=frozenset({"chat"})),
            {"aud": "app"},
            "aud is missing or not in JWT_AUDIENCE",
        ),
        (
            ClaimsPolicy(),
            {"iat": seconds_from_now(3)},
            "iat is 3 s in the future; JWT_LEEWAY_SECONDS allows for clocks that differ",
        ),
        (ClaimsPolicy(), {"nbf": "soon"}, "nbf is missing or not a number"),
    ],
)
def test_rejection_carries_its_reason_for_the_operator(
    policy: ClaimsPolicy, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unauthenticated) as rejection:
        identity(policy, **changed)

    assert rejection.value.reason == reason


def test_expired_token_is_logged_with_its_age() -> None:
    with pytest.raises(TokenExpired) as rejection:
        identity(exp=seconds_from_now(-90))

    assert rejection.value.reason == "exp was 90 s ago"
