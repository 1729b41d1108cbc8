"""Token verification by a function of the host application."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import jose.exceptions
import pytest

from socketio_app.adapters.custom_verifier import (
    CustomVerifier,
)
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import UserId
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import NOW, seconds_from_now

pytestmark = pytest.mark.anyio

TOKEN = "a-token-that-must-stay-secret"


async def verified(answer: object) -> Identity:
    """Verify a token with a `verify_token` that returns `answer`."""
    return await CustomVerifier(lambda _token: answer, ManualClock()).verify(TOKEN)


async def is_rejected(answer: object) -> bool:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        await verified(answer)
    return True


class TestCall:
    async def test_verify_token_gets_the_token(self) -> None:
        verifier = CustomVerifier(lambda token: f"the user of {token}", ManualClock())

        identity = await verifier.verify(TOKEN)

        assert identity.user_id == f"the user of {TOKEN}"

    async def test_verify_token_may_be_async(self) -> None:
        async def verify_token(_token: str) -> str:
            await asyncio.sleep(0)
            return "ada"

        identity = await CustomVerifier(verify_token, ManualClock()).verify(TOKEN)

        assert identity.user_id == "ada"

    async def test_verify_token_may_be_a_callable_object(self) -> None:
        class Sessions:
            async def __call__(self, _token: str) -> str:
                return "ada"

        identity = await CustomVerifier(Sessions(), ManualClock()).verify(TOKEN)

        assert identity.user_id == "ada"

    async def test_verify_token_may_return_a_future(self) -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "ada")

        assert (await verified(future)).user_id == "ada"

    async def test_verify_token_may_return_any_awaitable(self) -> None:
        class Answer:
            def __await__(self) -> Generator[None, None, str]:
                yield
                return "ada"

        assert (await verified(Answer())).user_id == "ada"


class TestAnswers:
    @pytest.mark.parametrize("answer", ["ada", "x" * 128, "日本"])
    async def test_string_is_the_user_id(self, answer: str) -> None:
        assert await verified(answer) == Identity(UserId(answer), None)

    @pytest.mark.parametrize("answer", [0, 42, -1])
    async def test_integer_is_the_user_id(self, answer: int) -> None:
        assert await verified(answer) == Identity(UserId(str(answer)), None)

    async def test_uuid_is_converted_to_a_string(self) -> None:
        key = uuid4()

        assert (await verified(key)).user_id == str(key)
        assert (await verified({"sub": key})).user_id == str(key)

    @pytest.mark.parametrize("subject", ["42", 42])
    async def test_subject_of_claims_is_the_user_id(self, subject: object) -> None:
        claims = MappingProxyType({"sub": subject, "name": "Ada"})

        assert await verified(claims) == Identity(UserId("42"), None)

    @pytest.mark.parametrize("end", [seconds_from_now(60.0009), int(seconds_from_now(60))])
    async def test_claims_may_have_an_expiry(self, end: float) -> None:
        identity = await verified({"sub": "ada", "exp": end})

        assert identity.expires_at == NOW + timedelta(seconds=60)

    async def test_expiry_of_claims_may_be_none(self) -> None:
        assert await verified({"sub": "ada", "exp": None}) == Identity(UserId("ada"), None)

    async def test_expiry_after_the_year_9999_is_clamped(self) -> None:
        identity = await verified({"sub": "ada", "exp": 10**300})

        assert identity.expires_at is not None
        assert identity.expires_at.year == 9999

    @pytest.mark.parametrize("end", [NOW + timedelta(hours=1), None])
    async def test_identity_is_returned_unchanged(self, end: datetime | None) -> None:
        identity = Identity(UserId("ada"), end)

        assert await verified(identity) == identity

    async def test_expiry_of_an_identity_is_converted_to_utc_and_whole_milliseconds(self) -> None:
        east = timezone(timedelta(hours=9))
        ends = (NOW + timedelta(microseconds=60_000_999)).astimezone(east)

        identity = await verified(Identity(UserId("ada"), ends))

        assert identity.expires_at == NOW + timedelta(seconds=60)
        assert identity.expires_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize(
        "answer",
        [
            {"sub": "ada", "exp": seconds_from_now(0)},
            {"sub": "ada", "exp": -1e300},
            Identity(UserId("ada"), NOW),
            Identity(UserId("ada"), datetime.min.replace(tzinfo=NOW.tzinfo)),
        ],
    )
    async def test_expiry_in_the_past_is_an_expired_token(self, answer: object) -> None:
        with pytest.raises(TokenExpired, match=r"^the token has expired$"):
            await verified(answer)


class TestRejections:
    @pytest.mark.parametrize("answer", [None, False])
    async def test_none_or_false_rejects_the_token(
        self, answer: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert await is_rejected(answer)
        assert caplog.records == []

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(True, id="true"),
            pytest.param("", id="an empty id"),
            pytest.param("x" * 129, id="an id that is too long"),
            pytest.param("\ud800", id="a lone surrogate"),
            pytest.param(10**128, id="a number that is too long"),
            pytest.param(10**5000, id="a number that cannot be converted"),
            pytest.param(4.2, id="a float"),
            pytest.param(b"ada", id="bytes"),
            pytest.param(["ada"], id="a list"),
            pytest.param(object(), id="an object"),
            pytest.param({}, id="empty claims"),
            pytest.param({"exp": seconds_from_now(60)}, id="claims without a subject"),
            pytest.param({"sub": None}, id="a null subject"),
            pytest.param({"sub": True}, id="a true subject"),
            pytest.param({"sub": ""}, id="an empty subject"),
            pytest.param({"sub": "ada", "exp": "5000000000"}, id="a string as expiry"),
            pytest.param({"sub": "ada", "exp": True}, id="a boolean as expiry"),
            pytest.param({"sub": "ada", "exp": NOW + timedelta(1)}, id="a datetime as exp"),
            pytest.param({"sub": "ada", "exp": float("nan")}, id="NaN as expiry"),
            pytest.param({"sub": "ada", "exp": float("inf")}, id="an infinite expiry"),
            pytest.param(Identity(UserId(""), None), id="an empty identity"),
            pytest.param(Identity(UserId("ada"), 5e9), id="an identity with a number as expiry"),  # type: ignore[arg-type]  # hosts may not be typed
            pytest.param(
                Identity(UserId("ada"), datetime(2099, 1, 1)),  # noqa: DTZ001  (the fault under test)
                id="an identity with a naive datetime",
            ),
        ],
    )
    async def test_answer_without_a_user_id_is_rejected_with_its_type_as_the_reason(
        self, answer: object
    ) -> None:
        assert (await reason_for(answer)).startswith(
            f"verify_token returned {type(answer).__name__} without a user id"
        )

    async def test_reason_holds_nothing_of_an_invalid_answer_but_its_type(self) -> None:
        assert TOKEN not in await reason_for({"sub": [TOKEN], TOKEN: TOKEN})


async def reason_for(answer: object) -> str:
    with pytest.raises(Unauthenticated) as rejection:
        await CustomVerifier(lambda _token: answer, ManualClock()).verify(TOKEN)
    return rejection.value.reason


def raising(error: BaseException) -> Callable[[str], object]:
    def verify_token(_token: str) -> object:
        raise error

    return verify_token


def raising_later(error: BaseException) -> Callable[[str], Awaitable[object]]:
    async def verify_token(_token: str) -> object:
        await asyncio.sleep(0)
        raise error

    return verify_token


@pytest.mark.parametrize("host", [raising, raising_later])
class TestErrors:
    @pytest.mark.parametrize(
        "error", [Unauthenticated("you were banned"), TokenExpired("come back with a new one")]
    )
    async def test_our_own_errors_are_propagated(
        self,
        host: Callable[..., Any],
        error: Exception,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with pytest.raises(type(error)) as rejection:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert rejection.value is error
        assert caplog.records == []

    async def test_expiry_errors_of_jwt_libraries_are_recognized(
        self, host: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        other_error = type("ExpiredSignatureError", (Exception,), {})
        derived = type("SessionOver", (other_error,), {})

        for error in (jose.exceptions.ExpiredSignatureError(), other_error(), derived()):
            with pytest.raises(TokenExpired, match=r"^the token has expired$"):
                await CustomVerifier(host(error), ManualClock()).verify(TOKEN)
        assert caplog.records == []

    @pytest.mark.parametrize(
        "error",
        [ValueError(TOKEN), KeyError(TOKEN), jose.exceptions.JWTError(TOKEN), TimeoutError()],
    )
    async def test_any_other_error_rejects_with_its_type_as_the_reason(
        self, host: Callable[..., Any], error: Exception
    ) -> None:
        with pytest.raises(Unauthenticated, match=r"^the token is not valid$") as rejection:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert f"verify_token raised {type(error).__name__} at " in rejection.value.reason

    async def test_reason_has_the_place_of_the_error_and_never_the_token(
        self, host: Callable[..., Any]
    ) -> None:
        error = ValueError(f"cannot read {TOKEN}")
        error.__cause__ = KeyError(TOKEN)

        with pytest.raises(Unauthenticated) as rejection:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert rejection.value.reason.endswith(f"{__file__}:{raised_at(error)}")
        assert rejection.value.__suppress_context__

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
    async def test_errors_that_end_the_program_are_propagated(
        self, host: Callable[..., Any], error: BaseException
    ) -> None:
        verifier = CustomVerifier(host(error), ManualClock())

        with pytest.raises(type(error)):
            run_by_hand(verifier.verify(TOKEN))


async def test_verify_token_without_a_parameter_rejects() -> None:
    def verify_token() -> str:
        return "ada"

    verifier = CustomVerifier(verify_token, ManualClock())

    with pytest.raises(Unauthenticated, match=r"^the token is not valid$") as rejection:
        await verifier.verify(TOKEN)
    assert rejection.value.reason.startswith("verify_token raised TypeError at ")


def raised_at(error: Exception) -> int:
    """Return the line in this file that raised the error."""
    *_, (_, line) = traceback.walk_tb(error.__traceback__)
    return line


def run_by_hand(verifying: Any) -> None:
    """Run a coroutine without an event loop, which would handle these errors itself."""
    while True:
        verifying.send(None)


async def test_cancellation_of_what_verify_token_awaits_rejects() -> None:
    async def check(_token: str) -> str:
        work = asyncio.ensure_future(asyncio.sleep(60))
        work.cancel()
        await work
        return "ada"

    with pytest.raises(Unauthenticated):
        await CustomVerifier(check, ManualClock()).verify(TOKEN)


async def test_cancellation_of_the_caller_is_propagated() -> None:
    is_called = asyncio.Event()

    async def check(_token: str) -> str:
        is_called.set()
        await asyncio.sleep(60)
        return "ada"

    verifying = asyncio.create_task(CustomVerifier(check, ManualClock()).verify(TOKEN))
    await is_called.wait()
    verifying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await verifying
