"""Keys that an issuer publishes at a URL."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from socketio_app.adapters.jwt import JwtVerifier, KeyConfigurationError, http_fetch
from socketio_app.adapters.jwt.http_fetch import MAX_BYTES
from socketio_app.adapters.jwt.jwks import MAX_PUBLISHED_KEYS
from socketio_app.adapters.jwt.remote_keys import RETRY_SECONDS, UNKNOWN_KEY_RATE, RemoteKeys
from socketio_app.domain.errors import Unauthenticated, Unavailable
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import (
    EC_KEY,
    RSA_KEY,
    SECRET,
    PrivateKey,
    claims,
    private_pem,
    secret_web_key,
    signed,
    web_key,
    web_key_set,
)
from tests.unit.adapters.jwt.key_server import (
    KeyServer,
    closing,
    dripping,
    failing,
    flooding,
    hanging,
    key_server,
    publishing,
)

pytestmark = pytest.mark.anyio

LIFETIME_SECONDS = 300
NEW_KEY = generate_private_key(65537, 2048)
OLD_KEYS = publishing(web_key_set(web_key(RSA_KEY, kid="old")))
NEW_KEYS = publishing(web_key_set(web_key(NEW_KEY, kid="new")))

Behaviour = Callable[[KeyServer, BaseHTTPRequestHandler], None]


def of_old_key() -> str:
    return token_of(RSA_KEY, "old")


def of_new_key() -> str:
    return token_of(NEW_KEY, "new")


def token_of(key: PrivateKey, kid: str, algorithm: str = "RS256") -> str:
    return signed({"alg": algorithm, "kid": kid}, claims(), private_pem(key), algorithm)


@attrs.define
class Issuer:
    """A key server, and a verifier of its tokens with a clock of its own."""

    server: KeyServer
    seconds: float = 0.0
    verifier: JwtVerifier = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        keys = RemoteKeys(
            self.server.url,
            ["RS256", "ES256"],
            lifetime_seconds=LIFETIME_SECONDS,
            now=lambda: self.seconds,
        )
        self.verifier = JwtVerifier(keys, ManualClock())

    async def accepts(self, token: str) -> bool:
        try:
            return (await self.verifier.verify(token)).user_id == "ada"
        except Unauthenticated:
            return False

    async def is_unavailable(self) -> bool:
        try:
            await self.verifier.verify(of_old_key())
        except Unavailable:
            return True
        return False


@contextmanager
def issuing(behave: Behaviour) -> Iterator[Issuer]:
    with key_server(behave) as server:
        yield Issuer(server)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_fetch, "TIMEOUT_SECONDS", 0.3)


async def test_keys_are_fetched_once_for_all_tokens() -> None:
    with issuing(OLD_KEYS) as issuer:
        accepted = await asyncio.gather(*(issuer.accepts(of_old_key()) for _ in range(20)))

        assert all(accepted)
        assert issuer.server.requests == 1


async def test_keys_are_fetched_again_after_their_lifetime() -> None:
    with issuing(OLD_KEYS) as issuer:
        assert await issuer.accepts(of_old_key())
        issuer.server.behave = NEW_KEYS

        issuer.seconds += LIFETIME_SECONDS - 1
        assert await issuer.accepts(of_old_key())
        issuer.seconds += 1
        assert not await issuer.accepts(of_old_key())


async def test_unknown_key_is_fetched_at_once() -> None:
    with issuing(OLD_KEYS) as issuer:
        assert await issuer.accepts(of_old_key())
        issuer.server.behave = NEW_KEYS

        assert await issuer.accepts(of_new_key())
        assert issuer.server.requests == 2


async def test_made_up_keys_cause_a_limited_number_of_fetches() -> None:
    with issuing(OLD_KEYS) as issuer:
        made_up = [token_of(NEW_KEY, f"made-up-{number}") for number in range(30)]

        assert not any([await issuer.accepts(token) for token in made_up])
        assert issuer.server.requests == 1 + UNKNOWN_KEY_RATE.burst

        issuer.seconds += 1 / UNKNOWN_KEY_RATE.per_second
        assert not any([await issuer.accepts(token) for token in made_up])
        assert issuer.server.requests == 2 + UNKNOWN_KEY_RATE.burst


@pytest.mark.parametrize("header", [{"alg": "HS256", "kid": "new"}, {"alg": "RS256", "kid": 5}])
async def test_token_that_no_key_could_verify_causes_no_fetch(header: dict[str, Any]) -> None:
    with issuing(OLD_KEYS) as issuer:
        assert await issuer.accepts(of_old_key())

        assert not await issuer.accepts(signed(header, claims(), SECRET, "HS256"))
        assert issuer.server.requests == 1


async def test_published_secret_verifies_nothing() -> None:
    both = web_key_set(web_key(RSA_KEY, kid="old"), secret_web_key(SECRET, kid="secret"))
    with issuing(publishing(both)) as issuer:
        forged = signed({"alg": "HS256", "kid": "secret"}, claims(), SECRET, "HS256")

        assert await issuer.accepts(of_old_key())
        assert not await issuer.accepts(forged)


@pytest.mark.parametrize("algorithms", [[], ["HS256"], ["RS256", "HS256"], ["none"]])
def test_algorithm_with_a_secret_is_an_error_of_the_configuration(algorithms: list[str]) -> None:
    with pytest.raises(KeyConfigurationError, match=r"^ALGORITHM must be one or more of RS256, "):
        RemoteKeys("https://issuer.example", algorithms, lifetime_seconds=1)


async def test_unusable_keys_are_ignored() -> None:
    weak = generate_private_key(65537, 1024)  # noqa: S505  (which is what is tested)
    document = web_key_set(
        web_key(weak, kid="weak"), {"kty": "OKP"}, web_key(EC_KEY, kid="a"), web_key(RSA_KEY, kid=5)
    )
    with issuing(publishing(document)) as issuer:
        assert await issuer.accepts(token_of(EC_KEY, "a", "ES256"))


# Failures.

TOO_MANY = web_key_set(*(web_key(EC_KEY, kid=str(n)) for n in range(MAX_PUBLISHED_KEYS + 1)))

FAILURES = {
    "error": (failing(503), "HTTP status 503"),
    "redirect": (failing(302, Location="http://127.0.0.1:1/"), "HTTP status 302"),
    "no answer": (closing, "Remote end closed connection without response"),
    "not JSON": (publishing(b"<html>"), "it is not a JSON Web Key Set"),
    "no key": (publishing(web_key_set()), "it has no usable key for RS256 or ES256"),
    "too many keys": (publishing(TOO_MANY), f"it has more than {MAX_PUBLISHED_KEYS} keys"),
    "too large": (publishing(b" " * (MAX_BYTES + 1)), f"it has more than {MAX_BYTES} bytes"),
    "endless": (flooding, f"it has more than {MAX_BYTES} bytes"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_last_keys_are_used_while_they_cannot_be_fetched(
    failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    behave, reason = FAILURES[failure]
    with issuing(OLD_KEYS) as issuer:
        assert await issuer.accepts(of_old_key())
        issuer.server.behave = behave
        issuer.seconds += LIFETIME_SECONDS

        for _ in range(3):
            assert await issuer.accepts(of_old_key())
            issuer.seconds += RETRY_SECONDS
        issuer.server.behave = OLD_KEYS
        await until(lambda: "fetched JWT_JWKS_URL again" in caplog.messages, issuer)

    failed = [line for line in caplog.messages if line.startswith("cannot fetch")]
    assert failed == [f"cannot fetch JWT_JWKS_URL (reason: {reason})"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def until(met: Callable[[], bool], issuer: Issuer) -> None:
    async with asyncio.timeout(60):
        while not met():
            issuer.seconds += RETRY_SECONDS
            await issuer.accepts(of_old_key())
            await asyncio.sleep(0)


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("behave", [hanging, dripping])
async def test_server_that_hangs_is_given_up(
    behave: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    with issuing(behave) as issuer:
        assert await issuer.is_unavailable()

    (line,) = caplog.messages
    assert line == "cannot fetch JWT_JWKS_URL (reason: no answer within 5 seconds)"


@pytest.mark.usefixtures("short_timeout")
async def test_thread_of_a_server_that_hangs_ends() -> None:
    with issuing(dripping) as issuer:
        await issuer.is_unavailable()

        async with asyncio.timeout(60):
            while any(thread.name == "socketio-app-fetch" for thread in threading.enumerate()):
                await asyncio.sleep(0)


async def test_event_loop_runs_while_keys_are_fetched() -> None:
    answering = threading.Event()

    def behave(server: KeyServer, request: BaseHTTPRequestHandler) -> None:
        answering.wait(60)
        OLD_KEYS(server, request)

    with issuing(behave) as issuer:
        verifying = asyncio.create_task(issuer.accepts(of_old_key()))
        while issuer.server.requests == 0:
            await asyncio.sleep(0)
        assert not verifying.done()
        answering.set()

        assert await verifying


async def test_client_that_gives_up_does_not_cancel_the_fetch_of_others() -> None:
    answering = threading.Event()

    def behave(server: KeyServer, request: BaseHTTPRequestHandler) -> None:
        answering.wait(60)
        OLD_KEYS(server, request)

    with issuing(behave) as issuer:
        first, second = (asyncio.create_task(issuer.accepts(of_old_key())) for _ in range(2))
        while issuer.server.requests == 0:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        answering.set()

        assert await second
        assert issuer.server.requests == 1


async def test_without_any_keys_clients_are_told_to_retry_and_the_server_is_not_flooded() -> None:
    with issuing(failing(500)) as issuer:
        for _ in range(10):
            assert await issuer.is_unavailable()
        assert issuer.server.requests == 1

        issuer.server.behave = OLD_KEYS
        issuer.seconds += RETRY_SECONDS
        assert await issuer.accepts(of_old_key())


async def test_nobody_waits_for_a_server_that_is_known_to_fail() -> None:
    answering = threading.Event()

    def behave(_server: KeyServer, _request: BaseHTTPRequestHandler) -> None:
        answering.wait(60)

    with issuing(OLD_KEYS) as issuer:
        assert await issuer.accepts(of_old_key())
        issuer.server.behave = failing(500)
        issuer.seconds += LIFETIME_SECONDS
        assert await issuer.accepts(of_old_key())
        issuer.server.behave = behave
        issuer.seconds += RETRY_SECONDS

        assert await issuer.accepts(of_old_key())

        while issuer.server.requests < 3:
            await asyncio.sleep(0)
        answering.set()


# TLS and proxies.


@pytest.fixture
def certificate_file(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody has signed, with its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, EC_KEY.public_key(), serial_number=1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(EC_KEY, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM) + private_pem(EC_KEY))
    return file


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_certificate_of_the_server_is_verified(
    is_trusted: bool,
    certificate_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_file)

    with key_server(OLD_KEYS, tls) as server:
        issuer = Issuer(server)
        if is_trusted:
            assert await issuer.accepts(of_old_key())
        else:
            assert await issuer.is_unavailable()

    assert ("certificate verify failed" in caplog.text) is not is_trusted


async def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with key_server(OLD_KEYS) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/jwks.json"))
        issuer = Issuer(KeyServer("http://issuer.invalid/jwks.json", OLD_KEYS))

        assert await issuer.accepts(of_old_key())
        assert proxy.requests == 1
