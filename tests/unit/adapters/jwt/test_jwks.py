"""Selection of the keys of a JSON Web Key Set, and of their algorithms."""

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


def rejection(*entries: object, algorithms: tuple[str, ...] = ("RS256", "ES256", "HS256")) -> str:
    with pytest.raises(KeyConfigurationError) as error:
        keys_in(web_key_set(*entries), algorithms)
    return str(error.value)


def is_ignored(entry: object, *algorithms: str) -> bool:
    """Whether only another key of the set is used."""
    other = web_key(ec.generate_private_key(ec.SECP521R1()), kid="other")
    keys = keys_in(web_key_set(entry, other), [*algorithms, "ES512"])
    return [key.key_id for key in keys] == ["other"]


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
    def test_key_is_for_its_alg(self, algorithm: str) -> None:
        entry = web_key(RSA_KEY, alg=algorithm)

        assert algorithm_of(entry, *ALGORITHMS) == algorithm

    def test_key_without_alg_is_for_the_only_configured_algorithm_of_its_type(self) -> None:
        assert algorithm_of(web_key(RSA_KEY), "RS384", "ES256", "HS256") == "RS384"
        assert algorithm_of(secret_web_key(SECRET), "RS384", "HS512") == "HS512"

    @pytest.mark.parametrize(
        ("curve", "algorithm"),
        [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")],
    )
    def test_ec_key_without_alg_is_for_the_algorithm_of_its_curve(
        self, curve: ec.EllipticCurve, algorithm: str
    ) -> None:
        entry = web_key(ec.generate_private_key(curve))

        assert algorithm_of(entry, "ES256", "ES384", "ES512") == algorithm

    @pytest.mark.parametrize("entry", [web_key(RSA_KEY, kid="a"), secret_web_key(SECRET, kid="a")])
    def test_key_without_alg_that_matches_several_algorithms_is_rejected(
        self, entry: dict[str, Any]
    ) -> None:
        message = rejection(entry, algorithms=("RS256", "RS512", "HS256", "HS512"))

        assert message.startswith("key 'a': it has no alg, and could be for ")

    def test_algorithm_that_is_configured_twice_counts_once(self) -> None:
        assert algorithm_of(web_key(RSA_KEY), "RS256", "RS256") == "RS256"

    @pytest.mark.parametrize("algorithm", ["RS512", "HS256", "none", "", None, 5, ["RS256"]])
    def test_key_with_an_alg_that_is_not_configured_is_ignored(self, algorithm: object) -> None:
        assert is_ignored(web_key(RSA_KEY, alg=algorithm), "RS256")

    def test_key_with_an_alg_of_another_type_is_ignored(self) -> None:
        assert is_ignored(secret_web_key(SECRET, alg="RS256"), "RS256", "HS256")
        assert is_ignored(web_key(RSA_KEY, alg="HS256"), "RS256", "HS256")
        assert is_ignored(web_key(EC_KEY, alg="ES384"), "ES256", "ES384")

    def test_key_of_a_type_without_a_configured_algorithm_is_ignored(self) -> None:
        assert is_ignored(secret_web_key(SECRET), "RS256")
        assert is_ignored(web_key(EC_KEY), "RS256", "ES384")

    @pytest.mark.parametrize("algorithms", [(), ("none",), ("RS256", "rs256"), "RS256"])
    def test_algorithms_must_be_known(self, algorithms: tuple[str, ...]) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^ALGORITHM must be one or more of HS256"):
            keys_in(web_key_set(web_key(RSA_KEY)), algorithms)


class TestUse:
    @pytest.mark.parametrize(
        "use", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}]
    )
    def test_key_for_verifying_is_used(self, use: dict[str, Any]) -> None:
        assert algorithm_of(web_key(RSA_KEY, **use), "RS256") == "RS256"

    @pytest.mark.parametrize(
        "use",
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
    def test_key_for_another_use_is_ignored(self, use: dict[str, Any]) -> None:
        assert is_ignored(web_key(RSA_KEY, **use), "RS256")


class TestKeyMaterial:
    def test_private_key_verifies_with_its_public_half(self) -> None:
        private = EC_KEY.private_numbers().private_value.to_bytes(32, "big")

        assert algorithm_of(web_key(EC_KEY, d=base64url(private)), "ES256") == "ES256"

    @pytest.mark.parametrize("bits", [1024, 2047])
    def test_rsa_key_of_fewer_than_2048_bits_is_rejected(self, bits: int) -> None:
        weak = web_key(rsa.generate_private_key(65537, bits), kid="a")

        assert rejection(weak).startswith(f"key 'a': it has {bits} bits, at least 2048")

    def test_secret_of_fewer_than_32_bytes_is_rejected(self) -> None:
        message = rejection(secret_web_key("x" * 31))

        assert message.startswith("a key without a kid: it has 31 bytes, at least 32")

    @pytest.mark.parametrize(
        "published",
        [public_der(RSA_KEY), public_der(EC_KEY), public_pem(RSA_KEY), private_pem(EC_KEY)],
        # The default ids would be the keys, which differ in each worker.
        ids=["RSA DER", "EC DER", "RSA PEM", "private EC PEM"],
    )
    def test_secret_that_is_a_public_key_is_rejected(self, published: bytes) -> None:
        assert rejection(secret_web_key(published)).endswith("not a secret")

    @pytest.mark.parametrize(
        "entry",
        [
            pytest.param({"kty": "RSA"}, id="RSA without a modulus"),
            pytest.param(web_key(RSA_KEY, n=5), id="a modulus that is not a string"),
            pytest.param(web_key(RSA_KEY, e=""), id="an empty exponent"),
            pytest.param(web_key(RSA_KEY, e="AQ"), id="an exponent of one"),
            pytest.param(web_key(RSA_KEY, d="AQ"), id="an invalid private half"),
            pytest.param(web_key(EC_KEY, x="AQ"), id="a point off the curve"),
            pytest.param({"kty": "EC", "crv": "P-256"}, id="a curve without a point"),
            pytest.param({"kty": "oct"}, id="no secret"),
            pytest.param({"kty": "oct", "k": 5}, id="a secret that is not a string"),
            pytest.param({"kty": "oct", "k": ""}, id="an empty secret"),
            pytest.param({"kty": "oct", "k": "QUFBQQ=="}, id="a padded secret"),
        ],
    )
    def test_malformed_key_is_rejected(self, entry: dict[str, Any]) -> None:
        assert "it cannot be loaded as a key for " in rejection({**entry, "kid": "a"})

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
    def test_key_of_an_unknown_type_is_ignored(self, entry: object) -> None:
        assert is_ignored(entry, "RS256", "ES256", "HS256")


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
    def test_document_that_is_not_a_key_set_is_rejected(self, document: bytes) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^it is not a JSON Web Key Set$"):
            keys_in(document, ["RS256"])

    @pytest.mark.parametrize("entries", [[], [web_key(EC_KEY)], [web_key(RSA_KEY, use="enc")]])
    def test_key_set_without_a_usable_key_is_rejected(self, entries: list[object]) -> None:
        message = rejection(*entries, algorithms=("RS256", "HS256"))

        assert message == "it has no key for RS256 or HS256"

    def test_two_keys_with_the_same_kid_are_rejected(self) -> None:
        message = rejection(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="a"))

        assert message == "two of its keys have the same kid"

    def test_ignored_key_may_have_the_kid_of_a_used_one(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="a", use="enc"))

        assert len(keys_in(document, ["RS256"])) == 1

    def test_keys_without_a_kid_are_distinct(self) -> None:
        assert len(keys_in(web_key_set(web_key(RSA_KEY), web_key(RSA_KEY)), ["RS256"])) == 2

    @pytest.mark.parametrize("kid", [5, ["a"], {}])
    def test_kid_that_is_not_a_string_is_rejected(self, kid: object) -> None:
        assert rejection(web_key(RSA_KEY, kid=kid)) == "it has a key whose kid is not a string"

    def test_error_is_one_line_without_key_material(self) -> None:
        message = rejection({"kty": "oct", "k": "hush", "kid": "a\nb"})

        assert "hush" not in message
        assert len(message.splitlines()) == 1
