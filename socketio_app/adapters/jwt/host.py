"""The host application's own check of a token, as a verifier."""

import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jose.exceptions import ExpiredSignatureError

from socketio_app.adapters.jwt.claims import EXPIRED, INVALID, seconds, user_id
from socketio_app.application.ports import Clock, Identity
from socketio_app.domain.errors import TokenExpired, Unauthenticated

log = logging.getLogger("socketio_app.auth")


class HostVerifier:
    """Asks the host who a token stands for. Implements `TokenVerifier`.

    The host's function, sync or async, returns the user's id; or a mapping of claims with a `sub`,
    and an `exp` where it has one; or an `Identity`. To refuse it returns `None` or `False`, or
    raises: whatever it raises, nobody is let in.
    """

    def __init__(self, verify_token: Callable[[str], object], clock: Clock) -> None:
        self._verify_token = verify_token
        self._clock = clock

    async def verify(self, token: str) -> Identity:
        """See `TokenVerifier.verify`."""
        identity = _identity(await self._ask(token))
        if identity.expires_at is not None and identity.expires_at <= self._clock.now():
            raise TokenExpired(EXPIRED)
        return identity

    async def _ask(self, token: str) -> object:
        try:
            answer = self._verify_token(token)
            return await answer if inspect.isawaitable(answer) else answer
        except (Unauthenticated, TokenExpired):
            raise
        except Exception as error:  # noqa: BLE001  (whatever a host's check raises refuses)
            if isinstance(error, ExpiredSignatureError) or _is_called_expired(error):
                raise TokenExpired(EXPIRED) from None
            # Not its text or its frames' values: they may hold the token.
            log.warning(
                "verify_token refused a token with %s, raised %s",
                type(error).__name__,
                _where(error),
            )
            raise Unauthenticated(INVALID) from None


def _is_called_expired(error: Exception) -> bool:
    """Whether it is another library's error for a token that has expired; PyJWT's, for one."""
    return any(kind.__name__ == "ExpiredSignatureError" for kind in type(error).__mro__)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {frames[-1].filename}:{frames[-1].lineno}" if frames else "somewhere"


def _identity(answer: object) -> Identity:
    match answer:
        case None | False:
            raise Unauthenticated(INVALID)
        case Identity():
            return answer
        case str():
            return Identity(user_id(answer), None)
        case int() if not isinstance(answer, bool):
            return Identity(user_id(str(answer)), None)
        case Mapping():
            return _identity_of_claims(answer)
        case _:
            log.error(
                "verify_token returned %s; it must return a user's id, claims with a sub, or None",
                type(answer).__name__,
            )
            raise Unauthenticated(INVALID)


def _identity_of_claims(claims: Mapping[Any, Any]) -> Identity:
    subject = claims.get("sub")
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    expires = claims.get("exp")
    if isinstance(expires, datetime):
        expires = expires.timestamp()
    expires_at = None if expires is None else datetime.fromtimestamp(int(seconds(expires)), UTC)
    return Identity(user_id(subject), expires_at)
