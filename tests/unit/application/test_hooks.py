"""What can be set as a hook, and its bounds."""

from typing import Any

import pytest

from socketio_app import Hooks


async def asynchronous(_message: object) -> None:
    pass


def two_arguments(_message: object, _more: object) -> None:
    pass


@pytest.mark.parametrize("name", ["on_message", "on_connect", "on_disconnect", "on_undelivered"])
def test_each_hook_takes_a_function(name: str) -> None:
    assert not Hooks().are_set
    for hook in (asynchronous, print):
        arguments: dict[str, Any] = {name: hook}
        assert Hooks(**arguments).are_set


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_message": "app.hook"}, "on_message must be a function, not str"),
        ({"on_message": two_arguments}, "on_message must be a function that takes one argument"),
        ({"on_connect": lambda: None}, "on_connect must be a function that takes one argument"),
    ],
)
def test_something_else_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        Hooks(**arguments)

    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds must be from 0.001 to 86400, not 0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds must be from 0.001 to 86400, not nan"),
        ({"shutdown_seconds": "5"}, "shutdown_seconds must be from 0 to 86400, not '5'"),
        ({"max_waiting": 0}, "max_waiting must be from 1 to 1e+06, not 0"),
        ({"max_concurrent": True}, "max_concurrent must be from 1 to 1000, not True"),
    ],
)
def test_bound_out_of_range_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        Hooks(**arguments)

    assert str(raised.value) == message
