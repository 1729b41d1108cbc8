"""Which keys of a JSON Web Key Set may verify, and by what."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from socketio_app.adapters.jwt import KeyConfigurationError
from socketio_app.adapters.jwt.jwks import ALGORITHMS, keys_in
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    SECRET,
    base64url,
    private_pem,
    public_der,
    public_pem,
    secret_web_key,
    web_key,
    web_key_set,
)


def algorithm_of(entry: dict[str, Any], *algorithms: str) -> str:
    (key,) = keys_in(web_key_set(entry), algorithms)
    return key.algorithm


def refusal(*entries: object, algorithms: tuple[str, ...] = ("RS256", "ES256", "HS256")) -> str:
    with pytest.raises(KeyConfigurationError) as refused:
        keys_in(web_key_set(*entries), algorithms)
    return str(refused.value)


def is_passed_over(entry: object, *algorithms: str) -> bool:
    """Whether only the key beside it is left."""
    beside = web_key(ec.generate_private_key(ec.SECP521R1()), kid="beside")
    keys = keys_in(web_key_set(entry, beside), [*algorithms, "ES512"])
    return [key.key_id for key in keys] == ["beside"]


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
    def test_a_key_is_for_the_algorithm_that_it_names(self, algorithm: str) -> None:
        entry = web_key(RSA_KEY, alg=algorithm)

        assert algorithm_of(entry, *ALGORITHMS) == algorithm

    def test_a_key_that_names_none_is_for_the_only_configured_one_of_its_type(self) -> None:
        assert algorithm_of(web_key(RSA_KEY), "RS384", "ES256", "HS256") == "RS384"
        assert algorithm_of(secret_web_key(SECRET), "RS384", "HS512") == "HS512"

    @pytest.mark.parametrize(
        ("curve", "algorithm"),
        [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")],
    )
    def test_an_ec_key_that_names_none_is_for_its_curves(
        self, curve: ec.EllipticCurve, algorithm: str
    ) -> None:
        entry = web_key(ec.generate_private_key(curve))

        assert algorithm_of(entry, "ES256", "ES384", "ES512") == algorithm

    @pytest.mark.parametrize("entry", [web_key(RSA_KEY, kid="a"), secret_web_key(SECRET, kid="a")])
    def test_a_key_that_could_be_for_several_is_refused(self, entry: dict[str, Any]) -> None:
        told = refusal(entry, algorithms=("RS256", "RS512", "HS256", "HS512"))

        assert told.startswith("the key 'a' in it: it has no alg, and could be for ")

    def test_an_algorithm_that_is_configured_twice_counts_once(self) -> None:
        assert algorithm_of(web_key(RSA_KEY), "RS256", "RS256") == "RS256"

    @pytest.mark.parametrize("algorithm", ["RS512", "HS256", "none", "", None, 5, ["RS256"]])
    def test_a_key_that_names_one_that_is_not_configured_is_passed_over(
        self, algorithm: object
    ) -> None:
        assert is_passed_over(web_key(RSA_KEY, alg=algorithm), "RS256")

    def test_a_key_that_names_one_of_another_type_is_passed_over(self) -> None:
        assert is_passed_over(secret_web_key(SECRET, alg="RS256"), "RS256", "HS256")
        assert is_passed_over(web_key(RSA_KEY, alg="HS256"), "RS256", "HS256")
        assert is_passed_over(web_key(EC_KEY, alg="ES384"), "ES256", "ES384")

    def test_a_key_of_a_type_without_a_configured_algorithm_is_passed_over(self) -> None:
        assert is_passed_over(secret_web_key(SECRET), "RS256")
        assert is_passed_over(web_key(EC_KEY), "RS256", "ES384")

    @pytest.mark.parametrize("algorithms", [(), ("none",), ("RS256", "rs256"), "RS256"])
    def test_algorithms_must_be_known(self, algorithms: tuple[str, ...]) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^ALGORITHM must be one or more of HS256"):
            keys_in(web_key_set(web_key(RSA_KEY)), algorithms)


class TestPurposes:
    @pytest.mark.parametrize(
        "purpose", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}]
    )
    def test_a_key_for_verifying_is_taken(self, purpose: dict[str, Any]) -> None:
        assert algorithm_of(web_key(RSA_KEY, **purpose), "RS256") == "RS256"

    @pytest.mark.parametrize(
        "purpose",
        [
            {"use": "enc"},
            {"use": None},
            {"use": ["sig"]},
            {"key_ops": []},
            {"key_ops": ["encrypt", "wrapKey"]},
            {"key_ops": "verify"},
            {"key_ops": None},
            {"key_ops": 5},
            {"use": "enc", "key_ops": ["verify"]},
            {"use": "sig", "key_ops": ["sign"]},
        ],
    )
    def test_a_key_for_anything_else_is_passed_over(self, purpose: dict[str, Any]) -> None:
        assert is_passed_over(web_key(RSA_KEY, **purpose), "RS256")


class TestMaterial:
    def test_a_private_key_verifies_by_its_public_half(self) -> None:
        private = EC_KEY.private_numbers().private_value.to_bytes(32, "big")

        assert algorithm_of(web_key(EC_KEY, d=base64url(private)), "ES256") == "ES256"

    @pytest.mark.parametrize("bits", [1024, 2047])
    def test_an_rsa_key_of_fewer_than_2048_bits_is_refused(self, bits: int) -> None:
        weak = web_key(rsa.generate_private_key(65537, bits), kid="a")

        assert refusal(weak).startswith(f"the key 'a' in it: it has {bits} bits, at least 2048")

    def test_a_secret_of_fewer_than_32_bytes_is_refused(self) -> None:
        told = refusal(secret_web_key("x" * 31))

        assert told.startswith("a key without a kid in it: it has 31 bytes, at least 32")

    @pytest.mark.parametrize(
        "published",
        [public_der(RSA_KEY), public_der(EC_KEY), public_pem(RSA_KEY), private_pem(EC_KEY)],
        # By themselves the ids would be the keys, which are other ones in each worker.
        ids=["RSA DER", "EC DER", "RSA PEM", "private EC PEM"],
    )
    def test_a_secret_that_is_a_public_key_is_refused(self, published: bytes) -> None:
        assert refusal(secret_web_key(published)).endswith("and no secret")

    @pytest.mark.parametrize(
        "entry",
        [
            pytest.param({"kty": "RSA"}, id="RSA without anything"),
            pytest.param(web_key(RSA_KEY, n=5), id="a modulus that is no text"),
            pytest.param(web_key(RSA_KEY, e=""), id="an empty exponent"),
            pytest.param(web_key(RSA_KEY, e="AQ"), id="an exponent of one"),
            pytest.param(web_key(RSA_KEY, d="AQ"), id="a private half that is none"),
            pytest.param(web_key(EC_KEY, x="AQ"), id="a point off the curve"),
            pytest.param({"kty": "EC", "crv": "P-256"}, id="a curve without a point"),
            pytest.param({"kty": "oct"}, id="no secret"),
            pytest.param({"kty": "oct", "k": 5}, id="a secret that is no text"),
            pytest.param({"kty": "oct", "k": ""}, id="an empty secret"),
            pytest.param({"kty": "oct", "k": "QUFBQQ=="}, id="a padded secret"),
        ],
    )
    def test_a_malformed_key_for_us_is_refused(self, entry: dict[str, Any]) -> None:
        assert "it cannot be read as a key for " in refusal({**entry, "kid": "a"})

    @pytest.mark.parametrize(
        "entry",
        [
            {"kty": "OKP", "crv": "Ed25519", "x": "AQ"},
            {"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"},
            {"kty": "EC", "crv": ["P-256"]},
            {"kty": ["RSA"]},
            {},
            "RSA",
            None,
        ],
    )
    def test_a_key_of_an_unknown_type_is_passed_over(self, entry: object) -> None:
        assert is_passed_over(entry, "RS256", "ES256", "HS256")


class TestDocuments:
    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"[]",
            b"{}",
            b'{"keys": {}}',
            b'{"keys": null}',
            b'{"keys": [], "keys": []}',
            b"[" * 100_000,
            public_pem(RSA_KEY),
        ],
    )
    def test_what_is_no_key_set_is_refused(self, document: bytes) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^it is no JSON Web Key Set$"):
            keys_in(document, ["RS256"])

    @pytest.mark.parametrize("entries", [[], [web_key(EC_KEY)], [web_key(RSA_KEY, use="enc")]])
    def test_a_set_without_a_usable_key_is_refused(self, entries: list[object]) -> None:
        told = refusal(*entries, algorithms=("RS256", "HS256"))

        assert told == "it has no key that verifies RS256 or HS256"

    def test_two_keys_with_the_same_kid_are_refused(self) -> None:
        told = refusal(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="a"))

        assert told == "two of its keys have the same kid"

    def test_a_kid_that_a_key_for_something_else_has_too_is_no_matter(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="a", use="enc"))

        assert len(keys_in(document, ["RS256"])) == 1

    def test_keys_without_a_kid_are_distinct(self) -> None:
        assert len(keys_in(web_key_set(web_key(RSA_KEY), web_key(RSA_KEY)), ["RS256"])) == 2

    @pytest.mark.parametrize("kid", [5, ["a"], {}])
    def test_a_kid_that_is_no_string_is_refused(self, kid: object) -> None:
        assert refusal(web_key(RSA_KEY, kid=kid)) == "it has a key with a kid that is no string"

    def test_an_error_is_one_line_without_key_material(self) -> None:
        told = refusal({"kty": "oct", "k": "hush", "kid": "a\nb"})

        assert "hush" not in told
        assert len(told.splitlines()) == 1
