"""The host application's own check of a token."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import jose.exceptions
import pytest

from socketio_app.adapters.custom_verifier import CustomVerifier
from socketio_app.application.ports import Identity
from socketio_app.domain.errors import TokenExpired, Unauthenticated
from socketio_app.domain.identifiers import UserId
from tests.clocks import ManualClock
from tests.unit.adapters.jwt.forging import NOW, seconds_from_now

pytestmark = pytest.mark.anyio

TOKEN = "a-token-that-nobody-else-may-see"


async def verified(answer: object) -> Identity:
    """What comes of an answer of the host's function."""
    return await CustomVerifier(lambda _token: answer, ManualClock()).verify(TOKEN)


async def is_refused(answer: object) -> bool:
    with pytest.raises(Unauthenticated, match=r"^the token is not valid$"):
        await verified(answer)
    return True


class TestAsking:
    async def test_the_function_is_given_the_token(self) -> None:
        verifier = CustomVerifier(lambda token: f"the user of {token}", ManualClock())

        identity = await verifier.verify(TOKEN)

        assert identity.user_id == f"the user of {TOKEN}"

    async def test_it_may_be_async(self) -> None:
        async def verify_token(_token: str) -> str:
            await asyncio.sleep(0)
            return "ada"

        identity = await CustomVerifier(verify_token, ManualClock()).verify(TOKEN)

        assert identity.user_id == "ada"

    async def test_it_may_be_a_callable_object(self) -> None:
        class Sessions:
            async def __call__(self, _token: str) -> str:
                return "ada"

        identity = await CustomVerifier(Sessions(), ManualClock()).verify(TOKEN)

        assert identity.user_id == "ada"

    async def test_it_may_return_a_future(self) -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "ada")

        assert (await verified(future)).user_id == "ada"

    async def test_it_may_return_anything_that_can_be_awaited(self) -> None:
        class Answer:
            def __await__(self) -> Generator[None, None, str]:
                yield
                return "ada"

        assert (await verified(Answer())).user_id == "ada"


class TestAnswers:
    @pytest.mark.parametrize("answer", ["ada", "x" * 128, "日本"])
    async def test_a_string_is_the_users_id(self, answer: str) -> None:
        assert await verified(answer) == Identity(UserId(answer), None)

    @pytest.mark.parametrize("answer", [0, 42, -1])
    async def test_a_number_is_the_users_id(self, answer: int) -> None:
        assert await verified(answer) == Identity(UserId(str(answer)), None)

    async def test_uuid_is_read_as_its_text(self) -> None:
        key = uuid4()

        assert (await verified(key)).user_id == str(key)
        assert (await verified({"sub": key})).user_id == str(key)

    @pytest.mark.parametrize("subject", ["42", 42])
    async def test_claims_name_the_user_in_their_subject(self, subject: object) -> None:
        claims = MappingProxyType({"sub": subject, "name": "Ada"})

        assert await verified(claims) == Identity(UserId("42"), None)

    @pytest.mark.parametrize("end", [seconds_from_now(60.0009), int(seconds_from_now(60))])
    async def test_claims_may_say_when_the_token_ends(self, end: float) -> None:
        identity = await verified({"sub": "ada", "exp": end})

        assert identity.expires_at == NOW + timedelta(seconds=60)

    async def test_claims_may_say_that_they_do_not_know(self) -> None:
        assert await verified({"sub": "ada", "exp": None}) == Identity(UserId("ada"), None)

    async def test_the_end_may_be_later_than_any_date(self) -> None:
        identity = await verified({"sub": "ada", "exp": 10**300})

        assert identity.expires_at is not None
        assert identity.expires_at.year == 9999

    @pytest.mark.parametrize("end", [NOW + timedelta(hours=1), None])
    async def test_an_identity_is_taken_as_it_is(self, end: datetime | None) -> None:
        identity = Identity(UserId("ada"), end)

        assert await verified(identity) == identity

    async def test_the_end_of_an_identity_is_told_in_utc_and_whole_milliseconds(self) -> None:
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
    async def test_an_end_in_the_past_is_an_expired_token(self, answer: object) -> None:
        with pytest.raises(TokenExpired, match=r"^the token has expired$"):
            await verified(answer)


class TestRefusals:
    @pytest.mark.parametrize("answer", [None, False])
    async def test_nothing_is_a_refusal(
        self, answer: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert await is_refused(answer)
        assert caplog.records == []

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(True, id="true"),
            pytest.param("", id="an empty id"),
            pytest.param("x" * 129, id="too long an id"),
            pytest.param("\ud800", id="half a character"),
            pytest.param(10**128, id="too long a number"),
            pytest.param(10**5000, id="a number too long to write"),
            pytest.param(4.2, id="a fraction"),
            pytest.param(b"ada", id="bytes"),
            pytest.param(["ada"], id="a list"),
            pytest.param(object(), id="an object"),
            pytest.param({}, id="no claims"),
            pytest.param({"exp": seconds_from_now(60)}, id="claims without a subject"),
            pytest.param({"sub": None}, id="a null subject"),
            pytest.param({"sub": True}, id="a true subject"),
            pytest.param({"sub": ""}, id="an empty subject"),
            pytest.param({"sub": "ada", "exp": "5000000000"}, id="an end that is text"),
            pytest.param({"sub": "ada", "exp": True}, id="an end that is true"),
            pytest.param({"sub": "ada", "exp": NOW + timedelta(1)}, id="an end that is a date"),
            pytest.param({"sub": "ada", "exp": float("nan")}, id="an end that is no number"),
            pytest.param({"sub": "ada", "exp": float("inf")}, id="an infinite end"),
            pytest.param(Identity(UserId(""), None), id="an empty identity"),
            pytest.param(Identity(UserId("ada"), 5e9), id="a number's end"),  # type: ignore[arg-type]  # hosts may not be typed
            pytest.param(
                Identity(UserId("ada"), datetime(2099, 1, 1)),  # noqa: DTZ001  (that is what is wrong)
                id="an end without a time zone",
            ),
        ],
    )
    async def test_answer_that_names_no_user_is_refused_with_its_type_as_the_reason(
        self, answer: object
    ) -> None:
        assert (await reason_for(answer)).startswith(
            f"verify_token returned {type(answer).__name__} that names no user"
        )

    async def test_reason_holds_nothing_of_a_wrong_answer_but_its_type(self) -> None:
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
    async def test_our_own_errors_are_passed_on(
        self,
        host: Callable[..., Any],
        error: Exception,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with pytest.raises(type(error)) as refused:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert refused.value is error
        assert caplog.records == []

    async def test_the_error_for_expired_tokens_of_jwt_libraries_is_ours(
        self, host: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        another_librarys = type("ExpiredSignatureError", (Exception,), {})
        derived = type("SessionOver", (another_librarys,), {})

        for error in (jose.exceptions.ExpiredSignatureError(), another_librarys(), derived()):
            with pytest.raises(TokenExpired, match=r"^the token has expired$"):
                await CustomVerifier(host(error), ManualClock()).verify(TOKEN)
        assert caplog.records == []

    @pytest.mark.parametrize(
        "error",
        [ValueError(TOKEN), KeyError(TOKEN), jose.exceptions.JWTError(TOKEN), TimeoutError()],
    )
    async def test_any_other_error_refuses_with_its_type_as_the_reason(
        self, host: Callable[..., Any], error: Exception
    ) -> None:
        with pytest.raises(Unauthenticated, match=r"^the token is not valid$") as rejection:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert f"verify_token raised {type(error).__name__} at " in rejection.value.reason

    async def test_reason_says_where_it_was_raised_and_never_the_token(
        self, host: Callable[..., Any]
    ) -> None:
        error = ValueError(f"cannot read {TOKEN}")
        error.__cause__ = KeyError(TOKEN)

        with pytest.raises(Unauthenticated) as rejection:
            await CustomVerifier(host(error), ManualClock()).verify(TOKEN)

        assert rejection.value.reason.endswith(f"{__file__}:{raised_at(error)}")
        assert rejection.value.__suppress_context__

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
    async def test_what_is_no_error_of_a_check_goes_through(
        self, host: Callable[..., Any], error: BaseException
    ) -> None:
        verifier = CustomVerifier(host(error), ManualClock())

        with pytest.raises(type(error)):
            run_by_hand(verifier.verify(TOKEN))


async def test_a_function_that_takes_no_token_refuses() -> None:
    def verify_token() -> str:
        return "ada"

    verifier = CustomVerifier(verify_token, ManualClock())  # type: ignore[arg-type]  # hosts may not be typed

    with pytest.raises(Unauthenticated, match=r"^the token is not valid$") as rejection:
        await verifier.verify(TOKEN)
    assert rejection.value.reason.startswith("verify_token raised TypeError at ")


def raised_at(error: Exception) -> int:
    """The line in this file."""
    *_, (_, line) = traceback.walk_tb(error.__traceback__)
    return line


def run_by_hand(verifying: Any) -> None:
    """Without an event loop, which has its own way with what ends programs."""
    while True:
        verifying.send(None)


async def test_the_cancelling_of_what_it_awaits_refuses() -> None:
    async def check(_token: str) -> str:
        work = asyncio.ensure_future(asyncio.sleep(60))
        work.cancel()
        await work
        return "ada"

    with pytest.raises(Unauthenticated):
        await CustomVerifier(check, ManualClock()).verify(TOKEN)


async def test_who_is_cancelled_while_it_is_asked_is_cancelled() -> None:
    asked = asyncio.Event()

    async def check(_token: str) -> str:
        asked.set()
        await asyncio.sleep(60)
        return "ada"

    asking = asyncio.create_task(CustomVerifier(check, ManualClock()).verify(TOKEN))
    await asked.wait()
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
