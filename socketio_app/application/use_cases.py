"""The methods that execute commands."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from socketio_app.application.commands import Actor, Command, all_commands

UseCase = Callable[[Actor, Any], Coroutine[Any, Any, Any]]
"""Executes a command for an actor, and returns its result."""

Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])

_COMMAND: Final = "__command__"


def carries_out(command: type[Command[Any]]) -> Callable[[Method], Method]:
    """Mark the decorated method as the use case of a command."""

    def mark(method: Method) -> Method:
        setattr(method, _COMMAND, command)
        return method

    return mark


def use_cases_of(*services: object) -> Mapping[type[Command[Any]], UseCase]:
    """Return the use cases of some services by the commands that they execute.

    Raises:
        TypeError: a command has no use case, or more than one.
    """
    found: dict[type[Command[Any]], UseCase] = {}
    for service in services:
        for name, method in vars(type(service)).items():
            command = getattr(method, _COMMAND, None)
            if command is None:
                continue
            if command in found:
                raise TypeError(f"{command.__name__} has more than one use case")
            found[command] = getattr(service, name)
    for command in all_commands():
        if command not in found:
            raise TypeError(f"{command.__name__} has no use case")
    return found
