"""The chat's methods for threads: each blocks until it has the result."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from socketio_app.application.chat_methods import ChatMethods
from socketio_app.application.commands import Actor, Command
from socketio_app.application.home_loop import HomeLoop
from socketio_app.application.outbox import HostConnection, QueuedMessage
from socketio_app.domain.conversations import Target
from socketio_app.domain.identifiers import AnyUserId
from socketio_app.domain.messaging import Stored

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _blocking(
    method: Callable[Concatenate[ChatMethods, Parameters], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate["FromThread", Parameters], Result]:
    """Return the method for threads."""

    @functools.wraps(method)
    def call(self: "FromThread", /, *given: Parameters.args, **named: Parameters.kwargs) -> Result:
        caller = self._home_loop.calling_thread()
        return caller.wait_for(method(self._chat, *given, **named))

    return call


class FromThread:
    """The methods of `Chat` for `def` routes and other threads without an event loop.

    They take the same arguments, and return and raise the same. In addition, each raises
    `WrongEventLoopError` in the chat's event loop, which it would block, and `Unavailable` if the
    chat does not run. `connection` is a synchronous `Session` or `Connection`.
    """

    def __init__(self, chat: ChatMethods, home_loop: HomeLoop) -> None:
        self._chat = chat
        self._home_loop = home_loop

    def execute(self, actor: Actor, command: Command[Result]) -> Result:
        """Execute a command. See `Chat.execute`."""
        return self._home_loop.calling_thread().wait_for(self._chat.execute(actor, command))

    @overload
    def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: None = None,
    ) -> Stored: ...

    @overload
    def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: HostConnection,
    ) -> QueuedMessage: ...

    def send(
        self,
        user_id: AnyUserId,
        target: Target,
        content: str,
        *,
        client_message_id: str | None = None,
        connection: HostConnection | None = None,
    ) -> Stored | QueuedMessage:
        """Send a message. See `Chat.send`."""
        caller = self._home_loop.calling_thread()
        if connection is None:
            return caller.wait_for(
                self._chat.send(user_id, target, content, client_message_id=client_message_id)
            )
        return caller.wait_for(
            self._chat.send(
                user_id,
                target,
                content,
                client_message_id=client_message_id,
                connection=connection,
            )
        )

    join = _blocking(ChatMethods.join)
    leave = _blocking(ChatMethods.leave)
    history = _blocking(ChatMethods.history)
    conversations = _blocking(ChatMethods.conversations)
    mark_read = _blocking(ChatMethods.mark_read)
    start_typing = _blocking(ChatMethods.start_typing)
    stop_typing = _blocking(ChatMethods.stop_typing)
