"""Settling futures whose waiters may have been cancelled."""

from asyncio import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def set_result(future: "Future[Result]", result: Result) -> None:
    """Set the result of a future, unless its waiter was cancelled."""
    if not future.done():
        future.set_result(result)


def set_exception(future: "Future[Any]", error: BaseException) -> None:
    """Set the exception of a future, unless its waiter was cancelled."""
    if not future.done():
        future.set_exception(error)
