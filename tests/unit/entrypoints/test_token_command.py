"""`socketio-app token`."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socketio_app.entrypoints.cli import main
from socketio_app.entrypoints.settings import Settings
from tests.unit.entrypoints.command_line import hours_from_now, identity_of, rejected

pytestmark = pytest.mark.usefixtures("empty_environment")

SECRET = "0123456789abcdef0123456789abcdef"


class TestToken:
    def test_only_token_is_printed(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        status = main(["token", "ada", "--hours", "2"])

        printed = capsys.readouterr()
        identity = identity_of(printed.out.removesuffix("\n"), Settings(secret_key=SECRET))
        assert (status, identity.user_id, printed.err) == (0, "ada", "")
        assert 1.9 < hours_from_now(identity.expires_at) < 2.01

    def test_token_has_configured_issuer_and_audience(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)
        monkeypatch.setenv("JWT_ISSUER", "https://issuer,https://other")
        monkeypatch.setenv("JWT_AUDIENCE", "chat,other")

        main(["token", "ada"])

        settings = Settings(
            secret_key=SECRET, jwt_issuer=("https://issuer",), jwt_audience=("chat",)
        )
        assert identity_of(capsys.readouterr().out.strip(), settings).user_id == "ada"

    def test_private_key_file_signs_token(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "private.pem"
        path.write_bytes(private_pem())
        monkeypatch.setenv("JWT_KEY_FILE", str(path))
        monkeypatch.setenv("ALGORITHM", "ES256")

        main(["token", "ada"])

        settings = Settings(jwt_key_file=path, algorithm=("ES256",))
        assert identity_of(capsys.readouterr().out.strip(), settings).user_id == "ada"

    def test_public_key_file_is_rejected(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "public.pem"
        path.write_bytes(public_pem())
        monkeypatch.setenv("JWT_KEY_FILE", str(path))
        monkeypatch.setenv("ALGORITHM", "ES256")

        assert rejected(capsys, "token", "ada").startswith("cannot sign tokens")

    def test_published_keys_sign_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWT_JWKS_URL", "https://issuer.example/jwks.json")
        monkeypatch.setenv("ALGORITHM", "RS256")

        assert rejected(capsys, "token", "ada").startswith("cannot sign tokens with the configured")

    def test_missing_key_is_reported(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert rejected(capsys, "token", "ada").startswith("SECRET_KEY is not set: ")

    @pytest.mark.parametrize("user", ["", "x" * 129, "\udcff"])
    def test_invalid_user_id_is_rejected(
        self, capsys: pytest.CaptureFixture[str], user: str
    ) -> None:
        assert rejected(capsys, "token", user).startswith("user_id ")

    @pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e8", "8785"])
    def test_lifetime_that_server_rejects_is_rejected(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hours: str
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)

        message = rejected(capsys, "token", "ada", f"--hours={hours}")

        assert message.startswith(
            "--hours must be greater than 0 and at most 8784 (JWT_MAX_LIFETIME"
        )

    def test_unlimited_lifetime_is_capped_at_a_century(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", SECRET)
        monkeypatch.setenv("JWT_MAX_LIFETIME_DAYS", "0")

        assert main(["token", "ada", "--hours=876000"]) == 0
        capsys.readouterr()
        assert rejected(capsys, "token", "ada", "--hours=876001").startswith("--hours must be")


KEY = ec.generate_private_key(ec.SECP256R1())


def private_pem() -> bytes:
    return KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem() -> bytes:
    return KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
