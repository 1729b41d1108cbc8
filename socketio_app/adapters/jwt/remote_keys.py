"""The keys of an issuer that publishes them at a URL, and replaces them now and then."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf
from time import monotonic
from typing import Final

from socketio_app.adapters.jwt.http_fetch import FetchFailedError, fetch
from socketio_app.adapters.jwt.keys import KeySet
from socketio_app.adapters.jwt.verification_key import (
    EC_CURVES,
    RSA_ALGORITHMS,
    KeyConfigurationError,
    VerificationKey,
)
from socketio_app.adapters.log_event import log_event
from socketio_app.application.cancellation import start_task
from socketio_app.domain.errors import Unavailable
from socketio_app.domain.rates import Rate, RateLimiter

log = logging.getLogger("socketio_app.jwt")

RETRY_SECONDS: Final = 5.0
"""Minimum time between a failed fetch and the next one."""

UNKNOWN_KEY_RATE: Final = Rate(per_second=0.1, burst=3)
"""Maximum rate of fetches for keys that are not in the set. Any client can make up their ids."""


class RemoteKeys:
    """The keys at a URL. Implements `KeySource`.

    They are fetched for the first token, and again when they are older than `lifetime_seconds` or
    when a token names a key that is not among them: the issuer may have a new one. While they
    cannot be fetched, the last ones are used.

    Args:
        url: where the issuer publishes a JSON Web Key Set.
        algorithms: the signature algorithms that are accepted.
        lifetime_seconds: time for which fetched keys are used without asking again.
        now: a clock that never decreases, in seconds.

    Raises:
        KeyConfigurationError: one of the algorithms uses a secret, which nobody publishes.
    """

    def __init__(
        self,
        url: str,
        algorithms: Sequence[str],
        *,
        lifetime_seconds: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if not algorithms or any(algorithm not in _PUBLIC for algorithm in algorithms):
            raise KeyConfigurationError(
                f"ALGORITHM must be one or more of {', '.join(_PUBLIC)} with published keys"
            )
        self._url = url
        self._algorithms = algorithms
        self._lifetime_seconds = lifetime_seconds
        self._now = now
        self._keys: KeySet | None = None
        self._due = -inf
        """When to fetch the keys next."""
        self._is_failing = False
        self._fetching: asyncio.Task[None] | None = None
        self._unknown = RateLimiter(UNKNOWN_KEY_RATE)

    async def key_for(self, header: Mapping[str, object]) -> VerificationKey | None:
        """See `KeySource.key_for`."""
        key = (await self._current()).find(header)
        if key is not None or not self._may_be_new(header):
            return key
        if not self._unknown.admit(None, self._now()):
            await asyncio.wait([self._fetch()])
        return None if self._keys is None else self._keys.find(header)

    def _may_be_new(self, header: Mapping[str, object]) -> bool:
        return isinstance(header.get("kid"), str) and header.get("alg") in self._algorithms

    async def _current(self) -> KeySet:
        if self._now() >= self._due:
            fetching = self._fetch()
            # While the issuer does not answer, nobody waits for it who can do without.
            if self._keys is None or not self._is_failing:
                await asyncio.wait([fetching])
        if self._keys is None:
            raise Unavailable("the keys that verify tokens cannot be fetched now")
        return self._keys

    def _fetch(self) -> asyncio.Task[None]:
        """Fetch the keys, once for all that wait for them. Never fails."""
        if self._fetching is None or self._fetching.done():
            self._fetching = start_task(self._replace_keys())
        return self._fetching

    async def _replace_keys(self) -> None:
        try:
            self._keys = await fetch(self._url, self._parsed)
        except FetchFailedError as error:
            self._due = self._now() + RETRY_SECONDS
            if not self._is_failing:
                self._is_failing = True
                log_event(log, logging.WARNING, "cannot fetch JWT_JWKS_URL", {"reason": str(error)})
            return
        self._due = self._now() + self._lifetime_seconds
        if self._is_failing:
            self._is_failing = False
            log.warning("fetched JWT_JWKS_URL again")

    def _parsed(self, document: bytes) -> KeySet:
        return KeySet.from_published_jwks(document, self._algorithms)


_PUBLIC: Final = (*RSA_ALGORITHMS, *EC_CURVES)
