"""Which secrets and PEM files may verify, and which key a token gets."""

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


def found(keys: KeySet, **header: object) -> bool:
    return keys.find(header) is not None


class TestSecrets:
    @pytest.mark.parametrize("algorithm", SECRET_ALGORITHMS)
    def test_a_secret_verifies_by_its_algorithm(self, algorithm: str) -> None:
        keys = KeySet.from_secret(SECRET, [algorithm])

        assert found(keys, alg=algorithm)

    def test_a_secret_of_32_bytes_is_long_enough(self) -> None:
        assert found(KeySet.from_secret("é" * 16, ["HS256"]), alg="HS256")

    @pytest.mark.parametrize("secret", ["", "x" * 31, "é" * 15])
    def test_a_secret_of_fewer_bytes_is_refused(self, secret: str) -> None:
        with pytest.raises(KeyConfigurationError, match=r"^it has \d+ bytes, at least 32 are need"):
            KeySet.from_secret(secret, ["HS256"])

    def test_a_secret_that_is_no_unicode_is_refused(self) -> None:
        with pytest.raises(KeyConfigurationError, match="no Unicode"):
            KeySet.from_secret("\udcff" * 32, ["HS256"])

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_a_secret_that_is_pem_is_refused(self, key: PrivateKey) -> None:
        assert_no_secret(public_pem(key).decode())
        assert_no_secret("\n " + public_pem(key).decode())
        assert_no_secret(private_pem(key).decode())

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_a_secret_that_is_an_ssh_key_is_refused(self, key: PrivateKey) -> None:
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)

        assert_no_secret(public.decode())
        assert_no_secret(f"{public.decode()} ada@example.org\n")

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY])
    def test_a_secret_that_is_a_certificate_is_refused(
        self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    ) -> None:
        der = certificate(key).public_bytes(Encoding.DER)

        assert_no_secret(certificate(key).public_bytes(Encoding.PEM).decode())
        assert_no_secret(base64.b64encode(der).decode())

    @pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, Ed25519PrivateKey.generate()])
    def test_a_secret_that_is_pem_without_its_armour_is_refused(self, key: PrivateKey) -> None:
        assert_no_secret(base64.b64encode(public_der(key)).decode())
        assert_no_secret(base64.encodebytes(public_der(key)).decode())

    def test_a_secret_that_is_a_public_key_of_an_unknown_kind_is_refused(self) -> None:
        of_rsa, of_nothing = (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
            b"\x2a\x86\x48\x7f" + b"\x01" * 5,
        )
        der = public_der(RSA_KEY).replace(of_rsa, of_nothing)

        assert_no_secret(base64.b64encode(der).decode())

    def test_a_secret_that_is_another_armoured_text_is_refused(self) -> None:
        assert_no_secret("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF0rGtgBCAC8...")

    def test_a_secret_that_is_a_web_key_is_refused(self) -> None:
        assert_no_secret(json.dumps(web_key(RSA_KEY)))
        assert_no_secret(web_key_set(web_key(RSA_KEY)).decode())

    def test_a_secret_may_be_base64_or_json_of_something_else(self) -> None:
        for secret in (base64.b64encode(b"x" * 32).decode(), json.dumps({"a": "x" * 32})):
            assert found(KeySet.from_secret(secret, ["HS256"]), alg="HS256")

    @pytest.mark.parametrize(
        "algorithms", [[], ["none"], ["hs256"], ["RS256"], ["HS256", "HS512"], ["HS256", "RS256"]]
    )
    def test_a_secret_has_one_algorithm_of_those_for_secrets(self, algorithms: list[str]) -> None:
        with pytest.raises(KeyConfigurationError, match="one of HS256, HS384, HS512 with a secret"):
            KeySet.from_secret(SECRET, algorithms)

    def test_algorithms_that_are_one_string_are_refused(self) -> None:
        """python-jose would match parts of it."""
        with pytest.raises(KeyConfigurationError):
            KeySet.from_secret(SECRET, "HS256")


class TestPemFiles:
    @pytest.mark.parametrize("algorithm", RSA_ALGORITHMS)
    def test_an_rsa_key_verifies_by_its_algorithm(self, algorithm: str) -> None:
        keys = KeySet.from_pem(public_pem(RSA_KEY), [algorithm])

        assert found(keys, alg=algorithm)

    @pytest.mark.parametrize(("algorithm", "key"), EC_KEYS.items())
    def test_an_ec_key_verifies_by_its_curves_algorithm(
        self, algorithm: str, key: ec.EllipticCurvePrivateKey
    ) -> None:
        keys = KeySet.from_pem(public_pem(key), [algorithm])

        assert found(keys, alg=algorithm)

    @pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("ES256", EC_KEY)])
    def test_a_private_key_verifies_by_its_public_half(
        self, algorithm: str, key: PrivateKey
    ) -> None:
        keys = KeySet.from_pem(private_pem(key), [algorithm])

        assert found(keys, alg=algorithm)

    def test_a_certificate_verifies_by_its_key(self) -> None:
        pem = b"\n" + certificate(RSA_KEY).public_bytes(Encoding.PEM)

        assert found(KeySet.from_pem(pem, ["RS256"]), alg="RS256")

    @pytest.mark.parametrize("bits", [1024, 2047])
    def test_an_rsa_key_of_fewer_than_2048_bits_is_refused(self, bits: int) -> None:
        pem = public_pem(rsa.generate_private_key(65537, bits))

        with pytest.raises(KeyConfigurationError, match=f"^it has {bits} bits, at least 2048"):
            KeySet.from_pem(pem, ["RS256"])

    @pytest.mark.parametrize("algorithm", ["ES384", "ES512"])
    def test_an_ec_key_of_another_curve_is_refused(self, algorithm: str) -> None:
        with pytest.raises(KeyConfigurationError, match=f"curve is secp256r1, {algorithm} needs"):
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
    def test_a_key_of_another_type_is_refused(self, algorithm: str, key: PrivateKey) -> None:
        for pem in (public_pem(key), private_pem(key)):
            with pytest.raises(KeyConfigurationError, match=f"key for {algorithm}$"):
                KeySet.from_pem(pem, [algorithm])

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    @pytest.mark.parametrize(
        "content", [b"", b"-----BEGIN PUBLIC KEY-----\n", b"\xff" * 40, SECRET.encode()]
    )
    def test_what_is_no_pem_is_refused(self, algorithm: str, content: bytes) -> None:
        with pytest.raises(KeyConfigurationError, match=f"cannot be read as a key for {algorithm}"):
            KeySet.from_pem(content, [algorithm])

    def test_an_encrypted_private_key_is_refused(self) -> None:
        encryption = BestAvailableEncryption(b"passphrase")
        pem = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

        with pytest.raises(KeyConfigurationError):
            KeySet.from_pem(pem, ["ES256"])

    @pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256"], ["RS256", "ES256"]])
    def test_a_pem_file_has_one_algorithm_of_those_for_key_pairs(
        self, algorithms: list[str]
    ) -> None:
        with pytest.raises(KeyConfigurationError, match=r"one of RS256, .*ES512 with a PEM file$"):
            KeySet.from_pem(public_pem(RSA_KEY), algorithms)


class TestFinding:
    def test_a_token_with_another_algorithm_finds_no_key(self) -> None:
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

        assert not any(found(keys, alg=other) for other in others)

    def test_a_token_without_an_algorithm_finds_no_key(self) -> None:
        assert not found(KeySet.from_secret(SECRET, ["HS256"]))

    @pytest.mark.parametrize(
        "keys",
        [KeySet.from_secret(SECRET, ["HS256"]), KeySet.from_pem(public_pem(RSA_KEY), ["RS256"])],
    )
    def test_a_secret_and_a_pem_file_verify_whatever_the_kid(self, keys: KeySet) -> None:
        assert found(keys, alg="HS256", kid="any") or found(keys, alg="RS256", kid="any")

    def test_a_kid_finds_its_key_among_several(self) -> None:
        keys = KeySet.from_jwks(
            web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="b")), ["RS256"]
        )

        key = keys.find({"alg": "RS256", "kid": "b"})

        assert key is not None
        assert key.key_id == "b"

    @pytest.mark.parametrize("kid", ["b", "A", "", None, 1, ["a"]])
    def test_a_kid_that_is_no_keys_finds_none(self, kid: object) -> None:
        keys = KeySet.from_jwks(web_key_set(web_key(RSA_KEY, kid="a")), ["RS256"])

        assert not found(keys, alg="RS256", kid=kid)

    @pytest.mark.parametrize("kid", ["a", None])
    def test_a_kid_finds_no_key_that_has_none(self, kid: object) -> None:
        keys = KeySet.from_jwks(web_key_set(web_key(RSA_KEY)), ["RS256"])

        assert not found(keys, alg="RS256", kid=kid)

    def test_a_kid_does_not_find_a_key_of_another_algorithm(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256", "ES256"])

        assert not found(keys, alg="RS256", kid="b")

    def test_without_a_kid_the_only_key_of_the_algorithm_is_found(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(EC_KEY, kid="b"))
        keys = KeySet.from_jwks(document, ["RS256", "ES256"])

        assert found(keys, alg="RS256")
        assert found(keys, alg="ES256")

    def test_without_a_kid_none_of_several_keys_is_found(self) -> None:
        document = web_key_set(web_key(RSA_KEY, kid="a"), web_key(RSA_KEY, kid="b"))

        assert not found(KeySet.from_jwks(document, ["RS256"]), alg="RS256")


def test_a_repr_shows_no_key_material() -> None:
    modulus = web_key(RSA_KEY)["n"]
    document = web_key_set(web_key(RSA_KEY, kid="a"), secret_web_key(SECRET, kid="b"))

    shown = repr(KeySet.from_jwks(document, ["RS256", "HS256"]))

    assert "'a'" in shown
    assert not any(material in shown for material in (SECRET, modulus, "-----", "Key object"))


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [("hush" * 7, "HS256"), ("ssh-rsa hush" * 3, "HS256"), (SECRET, "none")],
)
def test_an_error_is_one_line_without_key_material(secret: str, algorithm: str) -> None:
    with pytest.raises(KeyConfigurationError) as of_secret:
        KeySet.from_secret(secret, [algorithm])
    with pytest.raises(KeyConfigurationError) as of_pem:
        KeySet.from_pem(secret.encode(), ["RS256"])

    for told in (str(of_secret.value), str(of_pem.value)):
        assert "hush" not in told
        assert SECRET not in told
        assert len(told.splitlines()) == 1


def assert_no_secret(secret: str) -> None:
    with pytest.raises(KeyConfigurationError, match=r"^it is a public key, .* and no secret$"):
        KeySet.from_secret(secret, ["HS256"])
