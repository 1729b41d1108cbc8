"""Secrets and PEM files as keys, and selection of the key for a token."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from socketio_app.adapters.jwt import KeyConfigurationError, KeySet
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    SECRET,
    PrivateKey,
    certificate,
    private_pem,
    public_der,
    public_pem,
    secret_web_key,
    web_key,
    web_key_set,
)

SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"]
RSA_ALGORITHMS = ["RS256", "RS384", "RS512"]
EC_KEYS = {
    "ES256": EC_KEY,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}


def has_key(keys: KeySet, **header: object) -> bool:
    return keys.find(header) is not None


class TestSecrets:
    @pytest.mark.parametrize("algorithm", SECRET_ALGORITHMS)
    def test_secret_verifies_with_its_algorithm(self, algorithm: str) -> None:
        keys = KeySet.from_secret(SECRET, [algorithm])

        assert has_key(keys, alg=algorithm)

    def test_secret_of_32_bytes_is_accepted(self) -> None:
        assert has_key(KeySet.from_secret("é" * 16, ["HS256"]), alg="HS256")

    @pytest.mark.parametrize("secret", ["", "x" * 31, "é" * 15])
    def test_secret_of_fewer_than_32_bytes_is_rejected(self, secret: str) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^it has \d+ bytes, at least 32 are req"):
            KeySet.from_secret(secret, ["HS256"])

    def test_secret_that_is_not_unicode_is_rejected(self) -> None:
        with pytest.raises(KeyConfigurationError, match="not valid Unicode"):
            KeySet.from_secret("\udcff" * 32, ["HS256"])

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_secret_that_is_pem_is_rejected(self, key: PrivateKey) -> None:
        assert_not_a_secret(public_pem(key).decode())
        assert_not_a_secret("\n " + public_pem(key).decode())
        assert_not_a_secret(private_pem(key).decode())

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_secret_that_is_an_ssh_key_is_rejected(self, key: PrivateKey) -> None:
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)

        assert_not_a_secret(public.decode())
        assert_not_a_secret(f"{public.decode()} ada@example.org\n")

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY])
    def test_secret_that_is_a_certificate_is_rejected(
        self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    ) -> None:
        der = certificate(key).public_bytes(Encoding.DER)

        assert_not_a_secret(certificate(key).public_bytes(Encoding.PEM).decode())
        assert_not_a_secret(base64.b64encode(der).decode())

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_secret_that_is_pem_without_header_and_footer_is_rejected(
        self, key: PrivateKey
    ) -> None:
        assert_not_a_secret(base64.b64encode(public_der(key)).decode())
        assert_not_a_secret(base64.encodebytes(public_der(key)).decode())

    def test_secret_that_is_a_public_key_of_an_unknown_type_is_rejected(self) -> None:
        of_rsa, of_nothing = (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
            b"\x2a\x86\x48\x7f" + b"\x01" * 5,
        )
        der = public_der(RSA_KEY).replace(of_rsa, of_nothing)

        assert_not_a_secret(base64.b64encode(der).decode())

    def test_secret_that_is_a_pgp_key_is_rejected(self) -> None:
        assert_not_a_secret("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF0rGtgBCAC8...")

    def test_secret_that_is_a_json_web_key_is_rejected(self) -> None:
        assert_not_a_secret(json.dumps(web_key(RSA_KEY)))
        assert_not_a_secret(web_key_set(web_key(RSA_KEY)).decode())

    def test_secret_may_be_other_base64_or_json(self) -> None:
        for secret in (base64.b64encode(b"x" * 32).decode(), json.dumps({"a": "x" * 32})):
            assert has_key(KeySet.from_secret(secret, ["HS256"]), alg="HS256")

    @pytest.mark.parametrize(
        "algorithms", [[], ["none"], ["hs256"], ["RS256"], ["HS256", "HS512"], ["HS256", "RS256"]]
    )
    def test_secret_requires_exactly_one_hmac_algorithm(self, algorithms: list[str]) -> None:
        with pytest.raises(KeyConfigurationError, match="one of HS256, HS384, HS512 with a secret"):
            KeySet.from_secret(SECRET, algorithms)

    def test_algorithms_as_one_string_are_rejected(self) -> None:
        """python-jose would match substrings of it."""
        with pytest.raises(KeyConfigurationError):
            KeySet.from_secret(SECRET, "HS256")


class TestPemFiles:
    @pytest.mark.parametrize("algorithm", RSA_ALGORITHMS)
    def test_rsa_key_verifies_with_its_algorithm(self, algorithm: str) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), [algorithm])

        assert has_key(keys, alg=algorithm)

    @pytest.mark.parametrize(("algorithm", "key"), EC_KEYS.items())
    def test_ec_key_verifies_with_the_algorithm_of_its_curve(
        self, algorithm: str, key: ec.EllipticCurvePrivateKey
    ) -> None:
        keys = KeySet.from_pem(public_pem(key), [algorithm])

        assert has_key(keys, alg=algorithm)

    @pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("ES256", EC_KEY)])
    def test_private_key_verifies_with_its_public_half(
        self, algorithm: str, key: PrivateKey
    ) -> None:
        keys = KeySet.from_pem(private_pem(key), [algorithm])

        assert has_key(keys, alg=algorithm)

    def test_certificate_verifies_with_its_key(self) -> None:
        pem = b"\n" + certificate(RSA_KEY).public_bytes(Encoding.PEM)

        assert has_key(KeySet.from_pem(pem, ["RS256"]), alg="RS256")

    @pytest.mark.parametrize("bits", [1024, 2047])
    def test_rsa_key_of_fewer_than_2048_bits_is_rejected(self, bits: int) -> None:
        pem = public_pem(rsa.generate_private_key(65537, bits))

        with pytest.raises(KeyConfigurationError, match=f"^it has {bits} bits, at least 2048"):
            KeySet.from_pem(pem, ["RS256"])

    @pytest.mark.parametrize("algorithm", ["ES384", "ES512"])
    def test_ec_key_of_another_curve_is_rejected(self, algorithm: str) -> None:
        with pytest.raises(
            KeyConfigurationError, match=f"curve is secp256r1, {algorithm} requires"
        ):
            KeySet.from_pem(public_pem(EC_KEY), [algorithm])

    @pytest.mark.parametrize(
        ("algorithm", "key"),
        [
            ("ES256", RSA_KEY),
            ("RS256", EC_KEY),
            ("RS256", Ed25519PrivateKey.generate()),
            ("ES256", Ed25519PrivateKey.generate()),
        ],
    )
    def test_key_of_another_type_is_rejected(self, algorithm: str, key: PrivateKey) -> None:
        for pem in (public_pem(key), private_pem(key)):
            with pytest.raises(KeyConfigurationError, match=f"key for {algorithm}$"):
                KeySet.from_pem(pem, [algorithm])

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    @pytest.mark.parametrize(
        "content", [b"", b"-----BEGIN PUBLIC KEY-----\n", b"\xff" * 40, SECRET.encode()]
    )
    def test_file_that_is_not_pem_is_rejected(self, algorithm: str, content: bytes) -> None:
        with pytest.raises(
            KeyConfigurationError, match=f"cannot be loaded as a key for {algorithm}"
        ):
            KeySet.from_pem(content, [algorithm])

    def test_encrypted_private_key_is_rejected(self) -> None:
        encryption = BestAvailableEncryption(b"passphrase")
        pem = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

        with pytest.raises(KeyConfigurationError):
            KeySet.from_pem(pem, ["ES256"])

    @pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256"], ["RS256", "ES256"]])
    def test_pem_file_requires_exactly_one_public_key_algorithm(
        self, algorithms: list[str]
    ) -> None:
        with pytest.raises(KeyConfigurationError, match=r"one of RS256, .*ES512 with a PEM file$"):
            KeySet.from_pem(public_pem(RSA_KEY), algorithms)


class TestSelection:
    def test_token_with_another_algorithm_matches_no_key(self) -> None:
        keys = KeySet.from_secret(SECRET, ["HS256"])

        others = [
            "none",
            "None",
            "HS512",
            "hs256",
            "HS25",
            "S",
            "",
            "RS256",
            None,
            True,
            256,
            ["HS256"],
        ]

        assert not any(has_key(keys, alg=other) for other in others)

    def test_token_without_an_algorithm_matches_no_key(self) -> None:
        assert not has_key(KeySet.from_secret(SECRET, ["HS256"]))

    @pytest.mark.parametrize(
        "keys",
        [KeySet.from_secret(SECRET, ["HS256"]), KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])],
    )
    def test_secret_and_pem_file_ignore_the_kid(self, keys: KeySet) -> None:
        assert has_key(keys, alg="HS256", kid="any") or has_key(keys, alg="RS256", kid="any")

    def test_kid_selects_one_of_several_keys(self) -> None:
        keys = KeySet.from_jwks(
            web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="b")), ["RS256"]
        )

        key = keys.find({"alg": "RS256", "kid": "b"})

        assert key is not None
        assert key.key_id == "b"

    @pytest.mark.parametrize("kid", ["b", "A", "", None, 1, ["a"]])
    def test_unknown_kid_matches_no_key(self, kid: object) -> None:
        keys = KeySet.from_jwks(web_key_set(web_key(RSA_KEY, kid="a")), ["RS256"])

        assert not has_key(keys, alg="RS256", kid=kid)

    @pytest.mark.parametrize("kid", ["a", None])
    def test_kid_does_not_match_a_key_without_a_kid(self, kid: object) -> None:
        keys = KeySet.from_jwks(web_key_set(web_key(RSA_KEY)), ["RS256"])

        assert not has_key(keys, alg="RS256", kid=kid)

    def test_kid_does_not_match_a_key_of_another_algorithm(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256", "ES256"])

        assert not has_key(keys, alg="RS256", kid="b")

    def test_token_without_a_kid_matches_the_only_key_of_its_algorithm(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256", "ES256"])

        assert has_key(keys, alg="RS256")
        assert has_key(keys, alg="ES256")

    def test_token_without_a_kid_matches_none_of_several_keys(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="b"))

        assert not has_key(KeySet.from_jwks(document, ["RS256"]), alg="RS256")


def test_repr_shows_no_key_material() -> None:
    modulus = web_key(RSA_KEY)["n"]
    document = web_key_set(web_key(RSA_KEY, kid="a"), secret_web_key(SECRET, kid="b"))

    shown = repr(KeySet.from_jwks(document, ["RS256", "HS256"]))

    assert "'a'" in shown
    assert not any(material in shown for material in (SECRET, modulus, "-----", "Key object"))


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [("hush" * 7, "HS256"), ("ssh-rsa hush" * 3, "HS256"), (SECRET, "none")],
)
def test_error_is_one_line_without_key_material(secret: str, algorithm: str) -> None:
    with pytest.raises(KeyConfigurationError) as of_secret:
        KeySet.from_secret(secret, [algorithm])
    with pytest.raises(KeyConfigurationError) as of_pem:
        KeySet.from_pem(secret.encode(), ["RS256"])

    for message in (str(of_secret.value), str(of_pem.value)):
        assert "hush" not in message
        assert SECRET not in message
        assert len(message.splitlines()) == 1


def assert_not_a_secret(secret: str) -> None:
    with pytest.raises(KeyConfigurationError, match=r"^it is a public key, .* not a secret$"):
        KeySet.from_secret(secret, ["HS256"])
