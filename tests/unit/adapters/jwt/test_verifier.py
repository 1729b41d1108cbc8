"""What a token must be: its form, its header, its signature. Then its claims (test_claims.py)."""

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


async def is_let_in(token: str, asking: JwtVerifier) -> bool:
    return (await asking.verify(token)).user_id == "ada"


async def is_refused(token: Any, keys: KeySet | None = None) -> bool:
    """Whether a token is refused, in the words in which all are."""
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        await verifier(keys).verify(token)
    return True


async def test_a_good_token_proves_its_user() -> None:
    identity = await verifier().verify(token(sub="ada"))

    assert identity.user_id == "ada"


class TestForm:
    @pytest.mark.parametrize("no_token", [None, 5, b"a.b.c", token().encode(), ["a", "b", "c"]])
    async def test_what_is_no_text_is_refused(self, no_token: object) -> None:
        assert await is_refused(no_token)

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "ä.ö.ü", "\ud800.\ud800.x"]
    )
    async def test_what_is_no_token_is_refused(self, text: str) -> None:
        assert await is_refused(text)

    @pytest.mark.parametrize("missing", [0, 1, 2])
    async def test_an_empty_part_is_refused(self, missing: int) -> None:
        parts = token().split(".")
        parts[missing] = ""

        assert await is_refused(".".join(parts))

    @pytest.mark.parametrize("number", [1, 2, 4, 5])
    async def test_three_parts_are_needed(self, number: int) -> None:
        parts = [*token().split("."), "AAAA", "AAAA"]

        assert await is_refused(".".join(parts[:number]))

    @pytest.mark.parametrize("junk", ["=", "==", " ", "\n", "\0", ".", "A", "é"])
    async def test_junk_around_a_token_is_refused(self, junk: str) -> None:
        assert await is_refused(token() + junk)
        assert await is_refused(junk + token())

    async def test_a_token_of_8192_characters_is_taken(self) -> None:
        longest = padded_to(8192)

        identity = await verifier().verify(longest)

        assert identity.user_id == "ada"

    async def test_a_longer_token_is_refused(self) -> None:
        assert await is_refused(padded_to(8193))

    @pytest.mark.parametrize("nested", [b"[" * 6000, b'{"a":' * 1200])
    async def test_a_header_of_brackets_is_refused(self, nested: bytes) -> None:
        assert await is_refused(signed(nested, claims(), SECRET, "HS256"))

    async def test_claims_of_brackets_are_refused(self) -> None:
        assert await is_refused(signed(HS256, b"[" * 5500, SECRET, "HS256"))

    @pytest.mark.parametrize("part", [b"", b"null", b"5", b'"HS256"', b"[]", b"{", b"\xff"])
    async def test_a_header_that_is_no_json_object_is_refused(self, part: bytes) -> None:
        assert await is_refused(signed(part, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("part", [b"", b"null", b"5", b'"ada"', b"[]", b"{", b"\xff"])
    async def test_claims_that_are_no_json_object_are_refused(self, part: bytes) -> None:
        assert await is_refused(signed(HS256, part, SECRET, "HS256"))

    async def test_a_doubled_name_in_the_header_is_refused(self) -> None:
        header = b'{"alg":"HS256","alg":"HS256"}'

        assert await is_refused(signed(header, claims(), SECRET, "HS256"))

    async def test_a_doubled_name_in_the_claims_is_refused(self) -> None:
        payload = json.dumps(claims()).replace("{", '{"sub": "bob", ', 1).encode()

        assert await is_refused(signed(HS256, payload, SECRET, "HS256"))

    async def test_a_second_spelling_of_a_signature_is_refused(self) -> None:
        good = token()
        spelled = [good[:-1] + last for last in "AQgw" if last != good[-1]]
        unused_bits = [good[:-1] + chr(ord(good[-1]) + 1)]

        for respelled in spelled + unused_bits:
            assert await is_refused(respelled)


class TestHeader:
    @pytest.mark.parametrize(
        "name", ["none", "None", "NONE", "nOnE", "", "HS384", "RS256", "ES256"]
    )
    async def test_an_algorithm_that_is_not_configured_is_refused(self, name: str) -> None:
        assert await is_refused(signed({"alg": name}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("name", ["none", "None", "NONE", "HS256"])
    async def test_a_token_without_a_signature_is_refused(self, name: str) -> None:
        assert await is_refused(f"{encoded({'alg': name})}.{encoded(claims())}.")

    @pytest.mark.parametrize(
        "algorithm", ["HS", "S256", "HS25", "hs256", "HS256 ", None, True, 5, {}]
    )
    async def test_no_part_and_no_likeness_of_its_name_is_enough(self, algorithm: object) -> None:
        assert await is_refused(signed({"alg": algorithm}, claims(), SECRET, "HS256"))

    async def test_a_header_without_an_algorithm_is_refused(self) -> None:
        assert await is_refused(signed({"typ": "JWT"}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "exp", None])
    async def test_a_token_that_is_critical_of_anything_is_refused(self, critical: object) -> None:
        header = {**HS256, "crit": critical, "exp": 5}

        assert await is_refused(signed(header, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("b64", [True, False])
    async def test_a_token_that_speaks_of_its_payloads_encoding_is_refused(self, b64: bool) -> None:
        assert await is_refused(signed({**HS256, "b64": b64}, claims(), SECRET, "HS256"))

    @pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "", None, 5])
    async def test_the_type_is_no_matter(self, typ: object) -> None:
        good = signed({**HS256, "typ": typ}, claims(), SECRET, "HS256")

        identity = await verifier().verify(good)

        assert identity.user_id == "ada"

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
    async def test_a_key_that_a_token_brings_with_it_is_not_used(self, name: str) -> None:
        brought = {"jwk": secret_web_key(ANOTHER_SECRET)}.get(name, "https://attacker.example/keys")

        assert await is_refused(signed({**HS256, name: brought}, claims(), ANOTHER_SECRET, "HS256"))


class TestSignature:
    async def test_a_token_signed_with_another_secret_is_refused(self) -> None:
        assert await is_refused(token(key=ANOTHER_SECRET))

    async def test_a_token_with_other_claims_than_were_signed_is_refused(self) -> None:
        header, _, signature = token().split(".")

        assert await is_refused(f"{header}.{encoded(claims(sub='eve'))}.{signature}")

    @pytest.mark.parametrize("length", [1, 16, 31, 33, 64, 256])
    async def test_a_signature_of_another_length_is_refused(self, length: int) -> None:
        signing_input, _, _ = token().rpartition(".")

        assert await is_refused(f"{signing_input}.{base64url(bytes(length))}")

    async def test_a_token_signed_with_hmac_over_the_public_key_is_refused(self) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])
        forged = hmac_signed(public_pem(RSA_KEY))

        assert await is_refused(forged, keys)

    @pytest.mark.parametrize("published", [public_pem(RSA_KEY), public_der(RSA_KEY)])
    async def test_it_is_refused_too_where_secrets_are_in_the_same_set(
        self, published: bytes
    ) -> None:
        document = web_key_set(web_key(RSA_KEY), secret_web_key(SECRET))
        keys = KeySet.from_jwks(document, ["RS256", "HS256"])
        forged = hmac_signed(published)

        assert await is_refused(forged, keys)

    @pytest.mark.parametrize(
        ("algorithm", "key", "another"),
        [
            ("RS256", RSA_KEY, rsa.generate_private_key(65537, 2048)),
            ("ES256", EC_KEY, ec.generate_private_key(ec.SECP256R1())),
        ],
    )
    async def test_a_token_signed_with_another_private_key_is_refused(
        self,
        algorithm: str,
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        another: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    ) -> None:
        keys = KeySet.from_pem(public_pem(key), [algorithm])
        forged = token(key=private_pem(another), algorithm=algorithm)

        assert await is_refused(forged, keys)

    async def test_a_token_signed_by_the_same_key_for_another_algorithm_is_refused(self) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])
        other = token(key=private_pem(RSA_KEY), algorithm="RS512")
        mislabelled = signed({"alg": "RS256"}, claims(), private_pem(RSA_KEY), "RS512")

        assert await is_refused(other, keys)
        assert await is_refused(mislabelled, keys)

    @pytest.mark.parametrize("signature", [bytes(64), bytes(63) + b"\1", b"\xff" * 64, bytes(1)])
    async def test_an_ecdsa_signature_of_nothing_is_refused(self, signature: bytes) -> None:
        """Where r and s were 0 it was good for every message once (CVE-2022-21449)."""
        keys = KeySet.from_pem(public_pem(EC_KEY), ["ES256"])
        forged = f"{encoded({'alg': 'ES256'})}.{encoded(claims())}.{base64url(signature)}"

        assert await is_refused(forged, keys)

    async def test_a_kid_pins_its_key(self) -> None:
        """python-jose would try them all."""
        another = rsa.generate_private_key(65537, 2048)
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(another, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256"])
        of_a, of_b = (
            signed({"alg": "RS256", "kid": kid}, claims(), private_pem(RSA_KEY), "RS256")
            for kid in ("a", "b")
        )

        assert (await verifier(keys).verify(of_a)).user_id == "ada"
        assert await is_refused(of_b, keys)

    async def test_only_a_good_signature_learns_that_a_token_has_expired(self) -> None:
        past = seconds_from_now(-1)

        assert await is_refused(token(key=ANOTHER_SECRET, exp=past))
        with pytest.raises(TokenExpired):
            await verifier().verify(token(exp=past))


class TestOptions:
    async def test_the_issuer_is_asked_for(self) -> None:
        asking = verifier(issuer="https://issuer")

        assert await is_let_in(token(iss="https://issuer"), asking)
        with pytest.raises(Unauthenticated):
            await asking.verify(token(iss="https://attacker"))

    @pytest.mark.parametrize("audience", ["chat", ("chat", "api"), ["chat"]])
    async def test_the_audience_is_one_or_several(self, audience: str | tuple[str, ...]) -> None:
        asking = verifier(audience=audience)

        assert await is_let_in(token(aud="chat"), asking)
        with pytest.raises(Unauthenticated):
            await asking.verify(token(aud="c"))

    async def test_there_is_no_lifetime_of_more_than_a_year_unless_it_is_allowed(self) -> None:
        endless = token(exp=253402300800 * 1000)

        assert await is_refused(endless)
        assert await is_let_in(endless, verifier(max_lifetime=None))

    async def test_only_the_given_clock_is_read(self) -> None:
        clock = ManualClock()
        reading = JwtVerifier(KeySet.from_secret(SECRET, ["HS256"]), clock)
        good = token(exp=seconds_from_now(60))

        clock.advance(timedelta(seconds=59))
        assert await is_let_in(good, reading)

        clock.advance(timedelta(seconds=1))
        with pytest.raises(TokenExpired):
            await reading.verify(good)
