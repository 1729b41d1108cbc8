"""Any input has one of three outcomes: an identity, a rejection, or an expired token."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.jwt import JwtVerifier, KeySet
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    SECRET,
    base64url,
    claims,
    private_pem,
    public_pem,
    signed,
    token,
    web_key,
    web_key_set,
)

pytestmark = pytest.mark.anyio

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

VERIFIERS = {
    "HS256": JwtVerifier(KeySet.from_secret(SECRET, ["HS256"]), ManualClock()),
    "RS256": JwtVerifier(KeySet.from_pem(public_pem(RSA_KEY), ["RS256"]), ManualClock()),
    "ES256": JwtVerifier(
        KeySet.from_jwks(web_key_set(web_key(EC_KEY, kid="a")), ["ES256"]), ManualClock()
    ),
}
VALID_TOKENS = {
    "HS256": token(),
    "RS256": token(key=private_pem(RSA_KEY), algorithm="RS256"),
    "ES256": token(key=private_pem(EC_KEY), algorithm="ES256"),
}

algorithms = st.sampled_from(sorted(VERIFIERS))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
numbers = st.floats() | st.integers() | st.integers(-(10**400), 10**400)


async def outcome(algorithm: str, presented: str) -> Identity | None:
    """Return the identity or, if the token is rejected, `None`; any other error fails the test."""
    try:
        identity = await VERIFIERS[algorithm].verify(presented)
    except (Unauthenticated, TokenExpired):
        return None
    assert type(identity) is Identity
    return identity


@pytest.mark.parametrize("algorithm", sorted(VERIFIERS))
async def test_unchanged_tokens_are_accepted(algorithm: str) -> None:
    assert await outcome(algorithm, VALID_TOKENS[algorithm]) is not None


@given(algorithm=algorithms, presented=st.text() | st.text(alphabet=BASE64URL + "."))
async def test_arbitrary_text_is_rejected(algorithm: str, presented: str) -> None:
    assert await outcome(algorithm, presented) is None


@given(algorithm=algorithms, parts=st.lists(st.binary(max_size=60), min_size=3, max_size=3))
async def test_arbitrary_octets_are_rejected(algorithm: str, parts: list[bytes]) -> None:
    assert await outcome(algorithm, ".".join(map(base64url, parts))) is None


@given(algorithm=algorithms, header=json_values, payload=json_values, signature=st.binary())
async def test_arbitrary_json_is_rejected_without_the_key(
    algorithm: str, header: object, payload: object, signature: bytes
) -> None:
    unsigned, _, _ = signed(header, payload, SECRET, "HS256").rpartition(".")

    assert await outcome(algorithm, f"{unsigned}.{base64url(signature)}") is None


# Tokens are drawn before a test begins: hypothesis ends a draw with an exception that would end
# the event loop of an asynchronous test.


@st.composite
def tokens_with_another_character(draw: st.DrawFn) -> tuple[str, str]:
    """An algorithm, and one of its valid tokens with one character replaced by another."""
    algorithm = draw(algorithms)
    valid = VALID_TOKENS[algorithm]
    at = draw(st.integers(0, len(valid) - 1))
    other = draw(st.sampled_from(BASE64URL + ".+/= \n\0é").filter(lambda c: c != valid[at]))
    return algorithm, valid[:at] + other + valid[at + 1 :]


@given(changed=tokens_with_another_character())
async def test_token_with_a_changed_character_is_rejected(changed: tuple[str, str]) -> None:
    algorithm, token = changed

    assert await outcome(algorithm, token) is None


@pytest.mark.parametrize("algorithm", sorted(VERIFIERS))
@pytest.mark.parametrize("part", [1, 2, 3])
async def test_token_with_a_changed_last_character_of_a_part_is_rejected(
    algorithm: str, part: int
) -> None:
    parts = VALID_TOKENS[algorithm].split(".")
    before, last, after = parts[: part - 1], parts[part - 1], parts[part:]

    for other in BASE64URL.replace(last[-1], ""):
        changed = ".".join([*before, last[:-1] + other, *after])
        assert await outcome(algorithm, changed) is None


@st.composite
def changed_tokens(draw: st.DrawFn) -> tuple[str, str]:
    """An algorithm, and one of its valid tokens with a piece of it replaced by other text."""
    algorithm = draw(algorithms)
    valid = VALID_TOKENS[algorithm]
    start = draw(st.integers(0, len(valid)))
    end = draw(st.integers(start, len(valid)))
    inserted = draw(st.text(max_size=8).filter(lambda text: text != valid[start:end]))
    return algorithm, valid[:start] + inserted + valid[end:]


@given(changed=changed_tokens())
async def test_token_with_inserted_or_removed_text_is_rejected(changed: tuple[str, str]) -> None:
    algorithm, token = changed

    assert await outcome(algorithm, token) is None


@given(header=st.dictionaries(st.text() | st.sampled_from(["alg", "kid", "typ"]), json_values))
async def test_signed_token_with_any_header_has_one_of_the_three_outcomes(
    header: dict[str, Any],
) -> None:
    presented = signed(header, claims(), SECRET, "HS256")

    identity = await outcome("HS256", presented)

    assert (identity is not None) <= (header.get("alg") == "HS256")


@given(
    changed=st.fixed_dictionaries(
        {},
        optional={
            "sub": st.text() | json_values,
            "exp": numbers | json_values,
            "nbf": numbers | json_values,
            "iat": numbers | json_values,
            "iss": json_values,
            "aud": json_values,
        },
    )
)
async def test_signed_token_with_any_claims_has_one_of_the_three_outcomes(
    changed: dict[str, Any],
) -> None:
    identity = await outcome("HS256", token(**changed))

    if identity is not None:
        assert identity.user_id == str(changed.get("sub", "ada"))
        assert "aud" not in changed
