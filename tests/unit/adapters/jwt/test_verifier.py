"""Format, header and signature of tokens; test_claims.py tests the claims."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from socketio_app.adapters.jwt import JwtVerifier, KeySet
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import (
    ANOTHER_SECRET,
    EC_KEY,
    RSA_KEY,
    SECRET,
    base64url,
    claims,
    encoded,
    hmac_signed,
    padded_to,
    private_pem,
    public_der,
    public_pem,
    seconds_from_now,
    secret_web_key,
    signed,
    token,
    web_key,
    web_key_set,
)

pytestmark = pytest.mark.anyio

HS256 = {"alg": "HS256"}


def verifier(keys: KeySet | None = None, **options: Any) -> JwtVerifier:
    keys = keys or KeySet.from_secret(SECRET, ["HS256"])
    return JwtVerifier(keys, ManualClock(), **options)


async def is_accepted(token: str, verifier: JwtVerifier) -> bool:
    return (await verifier.verify(token)).user_id == "ada"


async def is_rejected(token: Any, keys: KeySet | None = None) -> bool:
    """Whether a token is rejected with the message for all invalid tokens."""
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        await verifier(keys).verify(token)
    return True


async def test_valid_token_proves_its_user() -> None:
    identity = await verifier().verify(token(sub="ada"))

    assert identity.user_id == "ada"


class TestFormat:
    @pytest.mark.parametrize("value", [None, 5, b"a.b.c", token().encode(), ["a", "b", "c"]])
    async def test_value_that_is_not_a_string_is_rejected(self, value: object) -> None:
        assert await is_rejected(value)

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "ä.ö.ü", "\ud800.\ud800.x"]
    )
    async def test_text_that_is_not_a_token_is_rejected(self, text: str) -> None:
        assert await is_rejected(text)

    @pytest.mark.parametrize("missing", [0, 1, 2])
    async def test_empty_part_is_rejected(self, missing: int) -> None:
        parts = token().split(".")
        parts[missing] = ""

        assert await is_rejected(".".join(parts))

    @pytest.mark.parametrize("number", [1, 2, 4, 5])
    async def test_any_number_of_parts_but_three_is_rejected(self, number: int) -> None:
        parts = [*token().split("."), "AAAA", "AAAA"]

        assert await is_rejected(".".join(parts[:number]))

    @pytest.mark.parametrize("extra", ["=", "==", " ", "\n", "\0", ".", "A", "é"])
    async def test_extra_characters_around_a_token_are_rejected(self, extra: str) -> None:
        assert await is_rejected(token() + extra)
        assert await is_rejected(extra + token())

    async def test_token_of_8192_characters_is_accepted(self) -> None:
        longest = padded_to(8192)

        identity = await verifier().verify(longest)

        assert identity.user_id == "ada"

    async def test_longer_token_is_rejected(self) -> None:
        assert await is_rejected(padded_to(8193))

    @pytest.mark.parametrize("nested", [b"[" * 6000, b'{"a":' * 1200])
    async def test_deeply_nested_header_is_rejected(self, nested: bytes) -> None:
        assert await is_rejected(signed(nested, claims(), SECRET, "HS256"))

    async def test_deeply_nested_claims_are_rejected(self) -> None:
        assert await is_rejected(signed(HS256, b"[" * 5500, SECRET, "HS256"))

    @pytest.mark.parametrize("part", [b"", b"null", b"5", b'"HS256"', b"[]", b"{", b"\xff"])
    async def test_header_that_is_not_a_json_object_is_rejected(self, part: bytes) -> None:
        assert await is_rejected(signed(part, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("part", [b"", b"null", b"5", b'"ada"', b"[]", b"{", b"\xff"])
    async def test_claims_that_are_not_a_json_object_are_rejected(self, part: bytes) -> None:
        assert await is_rejected(signed(HS256, part, SECRET, "HS256"))

    async def test_duplicate_name_in_the_header_is_rejected(self) -> None:
        header = b'{"alg":"HS256","alg":"HS256"}'

        assert await is_rejected(signed(header, claims(), SECRET, "HS256"))

    async def test_duplicate_name_in_the_claims_is_rejected(self) -> None:
        payload = json.dumps(claims()).replace("{", '{"sub": "bob", ', 1).encode()

        assert await is_rejected(signed(HS256, payload, SECRET, "HS256"))

    async def test_second_encoding_of_a_signature_is_rejected(self) -> None:
        valid = token()
        other_last = [valid[:-1] + last for last in "AQgw" if last != valid[-1]]
        unused_bits = [valid[:-1] + chr(ord(valid[-1]) + 1)]

        for changed in other_last + unused_bits:
            assert await is_rejected(changed)


class TestHeader:
    @pytest.mark.parametrize(
        "name", ["none", "None", "NONE", "nOnE", "", "HS384", "RS256", "ES256"]
    )
    async def test_algorithm_that_is_not_configured_is_rejected(self, name: str) -> None:
        assert await is_rejected(signed({"alg": name}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("name", ["none", "None", "NONE", "HS256"])
    async def test_token_without_a_signature_is_rejected(self, name: str) -> None:
        assert await is_rejected(f"{encoded({'alg': name})}.{encoded(claims())}.")

    @pytest.mark.parametrize(
        "algorithm", ["HS", "S256", "HS25", "hs256", "HS256 ", None, True, 5, {}]
    )
    async def test_similar_algorithm_name_is_rejected(self, algorithm: object) -> None:
        assert await is_rejected(signed({"alg": algorithm}, claims(), SECRET, "HS256"))

    async def test_header_without_an_algorithm_is_rejected(self) -> None:
        assert await is_rejected(signed({"typ": "JWT"}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "exp", None])
    async def test_token_with_critical_parameters_is_rejected(self, critical: object) -> None:
        header = {**HS256, "crit": critical, "exp": 5}

        assert await is_rejected(signed(header, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("b64", [True, False])
    async def test_token_with_a_payload_encoding_is_rejected(self, b64: bool) -> None:
        assert await is_rejected(signed({**HS256, "b64": b64}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "", None, 5])
    async def test_any_type_is_accepted(self, typ: object) -> None:
        valid = signed({**HS256, "typ": typ}, claims(), SECRET, "HS256")

        identity = await verifier().verify(valid)

        assert identity.user_id == "ada"

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
    async def test_key_in_the_header_is_not_used(self, name: str) -> None:
        key = {"jwk": secret_web_key(ANOTHER_SECRET)}.get(name, "https://attacker.example/keys")

        assert await is_rejected(signed({**HS256, name: key}, claims(), ANOTHER_SECRET, "HS256"))


class TestSignature:
    async def test_token_signed_with_another_secret_is_rejected(self) -> None:
        assert await is_rejected(token(key=ANOTHER_SECRET))

    async def test_token_with_claims_other_than_the_signed_ones_is_rejected(self) -> None:
        header, _, signature = token().split(".")

        assert await is_rejected(f"{header}.{encoded(claims(sub='eve'))}.{signature}")

    @pytest.mark.parametrize("length", [1, 16, 31, 33, 64, 256])
    async def test_signature_of_another_length_is_rejected(self, length: int) -> None:
        signing_input, _, _ = token().rpartition(".")

        assert await is_rejected(f"{signing_input}.{base64url(bytes(length))}")

    async def test_token_signed_with_the_public_key_as_a_secret_is_rejected(self) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])
        forged = hmac_signed(public_pem(RSA_KEY))

        assert await is_rejected(forged, keys)

    @pytest.mark.parametrize("published", [public_pem(RSA_KEY), public_der(RSA_KEY)])
    async def test_key_set_with_secrets_rejects_a_public_key_as_a_secret(
        self, published: bytes
    ) -> None:
        document = web_key_set(web_key(RSA_KEY), secret_web_key(SECRET))
        keys = KeySet.from_jwks(document, ["RS256", "HS256"])
        forged = hmac_signed(published)

        assert await is_rejected(forged, keys)

    @pytest.mark.parametrize(
        ("algorithm", "key", "another"),
        [
            ("RS256", RSA_KEY, rsa.generate_private_key(65537, 2048)),
            ("ES256", EC_KEY, ec.generate_private_key(ec.SECP256R1())),
        ],
    )
    async def test_token_signed_with_another_private_key_is_rejected(
        self,
        algorithm: str,
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        another: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    ) -> None:
        keys = KeySet.from_pem(public_pem(key), [algorithm])
        forged = token(key=private_pem(another), algorithm=algorithm)

        assert await is_rejected(forged, keys)

    async def test_token_signed_with_the_same_key_and_another_algorithm_is_rejected(self) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])
        other = token(key=private_pem(RSA_KEY), algorithm="RS512")
        mislabelled = signed({"alg": "RS256"}, claims(), private_pem(RSA_KEY), "RS512")

        assert await is_rejected(other, keys)
        assert await is_rejected(mislabelled, keys)

    @pytest.mark.parametrize("signature", [bytes(64), bytes(63) + b"\1", b"\xff" * 64, bytes(1)])
    async def test_ecdsa_signature_of_zeros_is_rejected(self, signature: bytes) -> None:
        """With r and s of 0, some libraries accepted it for every message (CVE-2022-21449)."""
        keys = KeySet.from_pem(public_pem(EC_KEY), ["ES256"])
        forged = f"{encoded({'alg': 'ES256'})}.{encoded(claims())}.{base64url(signature)}"

        assert await is_rejected(forged, keys)

    async def test_kid_selects_its_key(self) -> None:
        """python-jose would try all keys."""
        another = rsa.generate_private_key(65537, 2048)
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(another, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256"])
        of_a, of_b = (
            signed({"alg": "RS256", "kid": kid}, claims(), private_pem(RSA_KEY), "RS256")
            for kid in ("a", "b")
        )

        assert (await verifier(keys).verify(of_a)).user_id == "ada"
        assert await is_rejected(of_b, keys)

    async def test_expiry_is_only_reported_with_a_valid_signature(self) -> None:
        past = seconds_from_now(-1)

        assert await is_rejected(token(key=ANOTHER_SECRET, exp=past))
        with pytest.raises(TokenExpired):
            await verifier().verify(token(exp=past))


class TestOptions:
    async def test_issuer_is_checked(self) -> None:
        of_issuer = verifier(issuer="https://issuer")

        assert await is_accepted(token(iss="https://issuer"), of_issuer)
        with pytest.raises(Unauthenticated):
            await of_issuer.verify(token(iss="https://attacker"))

    @pytest.mark.parametrize("audience", ["chat", ("chat", "api"), ["chat"]])
    async def test_audience_is_one_or_several(self, audience: str | tuple[str, ...]) -> None:
        for_audience = verifier(audience=audience)

        assert await is_accepted(token(aud="chat"), for_audience)
        with pytest.raises(Unauthenticated):
            await for_audience.verify(token(aud="c"))

    async def test_lifetime_of_more_than_a_year_must_be_allowed(self) -> None:
        endless = token(exp=253402300800 * 1000)

        assert await is_rejected(endless)
        assert await is_accepted(endless, verifier(max_lifetime=None))

    async def test_expiry_uses_the_given_clock(self) -> None:
        clock = ManualClock()
        verifier = JwtVerifier(KeySet.from_secret(SECRET, ["HS256"]), clock)
        valid = token(exp=seconds_from_now(60))

        clock.advance(timedelta(seconds=59))
        assert await is_accepted(valid, verifier)

        clock.advance(timedelta(seconds=1))
        with pytest.raises(TokenExpired):
            await verifier.verify(valid)
