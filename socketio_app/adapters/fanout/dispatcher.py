"""Executes the commands of connections, and answers each exactly once."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from socketio_app.adapters.fanout.registry import new_error_id
from socketio_app.adapters.fanout.rejection_log import RejectionLog
from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.websocket.close_reasons import TOO_MANY_REFUSALS
from socketio_app.adapters.websocket.frames import Frame
from socketio_app.adapters.wire import outgoing
from socketio_app.adapters.wire.registry import COMMANDS, HOLDING_COMMANDS, acknowledgement
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, CaughtUp, Command, SendMessage
from socketio_app.application.delivery import messages_to
from socketio_app.application.metrics import OTHER, Metrics
from socketio_app.application.tracing import Tracing
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import ChatError, TokenRejected
from socketio_app.domain.messaging import Stored

log = logging.getLogger("socketio_app.socketio")


class Request(Protocol):
    """A command received over a transport."""

    @property
    def name(self) -> str:
        """Name of the command, as sent by the client."""
        ...

    @property
    def size(self) -> int:
        """Size in bytes."""
        ...

    @property
    def ack_id(self) -> object | None:
        """Id of the requested acknowledgement; `None` if the client requests none."""
        ...

    def command(self) -> Command[Any]:
        """Return the command.

        Raises:
            ChatError: the command is unknown, or its payload is invalid.
        """
        ...

    def answer(self, payload: outgoing.Payload) -> Frame:
        """Return the acknowledgement with this payload."""
        ...

    def error_frame(self, error: outgoing.Payload) -> Frame:
        """Return the rejection: an acknowledgement or, if none was requested, an `error` event."""
        ...


class CommandDispatcher:
    """Passes commands to the chat, and sends their results to the client.

    Args:
        chat: executes the commands.
        rejections: logs rejected tokens.
        metrics: counts commands, if given.
        tracing: traces commands, if given.
    """

    def __init__(
        self,
        chat: Chat,
        rejections: RejectionLog,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._chat = chat
        self._rejections = rejections
        self._metrics = metrics
        self.dispatch: Callable[[Actor, Subscriber, Request], Coroutine[Any, Any, object]]
        self.dispatch = self._run if tracing is None else partial(self._run_traced, tracing)
        """Executes the command of a request, and acknowledges or rejects it."""

    async def _run_traced(
        self, tracing: Tracing, actor: Actor, subscriber: Subscriber, request: Request
    ) -> None:
        with tracing.command(_known(request.name), actor) as outcome:
            outcome.code = await self._run(actor, subscriber, request)

    async def _run(self, actor: Actor, subscriber: Subscriber, request: Request) -> str:
        started, outcome = perf_counter(), "ok"
        holds_events = request.ack_id is not None and request.name in HOLDING_COMMANDS
        if holds_events:
            subscriber.hold_all()
        try:
            result = await self._chat.execute(actor, request.command())
        except Exception as error:  # noqa: BLE001  (it is logged)
            outcome = self._fail(actor, subscriber, request, error, perf_counter() - started)
        else:
            if request.ack_id is not None:
                self._acknowledge(actor, subscriber, request, result)
        finally:
            if holds_events:
                subscriber.release_all()
        if self._metrics is not None:
            self._metrics.count_command(request.name, outcome, perf_counter() - started)
        return outcome

    def _acknowledge(
        self, actor: Actor, subscriber: Subscriber, request: Request, result: object
    ) -> None:
        subscriber.write(request.answer(acknowledgement(request.name, result, actor.user_id)))
        for message in messages_to(actor.user_id, result):
            subscriber.expect(message)
        if isinstance(result, CaughtUp):
            subscriber.release_all(seq_ranges_of(result))

    def begin_send(
        self, actor: Actor, subscriber: Subscriber, request: Request, on_done: Callable[[], None]
    ) -> bool:
        """Begin to send the message of a request if it can be stored with others.

        Args:
            actor: the sender.
            subscriber: the sender's connection.
            request: a command.
            on_done: called later, once the message is acknowledged or rejected.

        Returns:
            Whether it began. If not, nothing has happened; see `GroupedSends.begin`.
        """
        started = perf_counter()
        try:
            command = request.command()
        except ChatError:
            return False
        if not isinstance(command, SendMessage):
            return False

        # A partial needs far fewer objects than a closure, which the garbage collector would trace.
        on_sent = partial(self._answer_send, actor, subscriber, request, started, on_done)
        return self._chat.grouped_sends.begin(actor, command, on_sent)

    def _answer_send(
        self,
        actor: Actor,
        subscriber: Subscriber,
        request: Request,
        started: float,
        on_done: Callable[[], None],
        outcome: Stored | Exception,
    ) -> None:
        try:
            code = "ok"
            if isinstance(outcome, Exception):
                code = self._fail(actor, subscriber, request, outcome, perf_counter() - started)
            elif request.ack_id is not None:
                answer = acknowledgement(request.name, outcome, actor.user_id)
                subscriber.write(request.answer(answer))
            if self._metrics is not None:
                self._metrics.count_command(request.name, code, perf_counter() - started)
        finally:
            on_done()

    def _fail(
        self,
        actor: Actor,
        subscriber: Subscriber,
        request: Request,
        error: Exception,
        seconds: float,
    ) -> str:
        """Reject a command that raised an error; return the error's code."""
        if isinstance(error, ChatError):
            self._reject(actor, subscriber, request, error)
            return error.code
        error_id = new_error_id()
        fields = _error_fields(error_id, actor, request, seconds)
        message = "internal error %s in %s"
        log.error(message, error_id, fields["command"], extra=fields, exc_info=error)
        subscriber.write(request.error_frame(outgoing.internal_error_payload(error_id)))
        return "internal"

    def _reject(
        self, actor: Actor, subscriber: Subscriber, request: Request, error: ChatError
    ) -> None:
        if isinstance(error, TokenRejected):
            source: dict[str, object] = {"connection": actor.connection_id, "user": actor.user_id}
            if subscriber.address is not None:
                source["address"] = subscriber.address
            self._rejections.rejected("token refresh rejected", error, source)
        subscriber.write(request.error_frame(outgoing.error_payload(error)))
        if self._chat.refusal_limit.exceeded(actor, error, request.size):
            subscriber.dismiss(TOO_MANY_REFUSALS, subscriber.encoding.last_frame)

    def count_ignored(
        self, actor: Actor, subscriber: Subscriber, count: int = 1, size: int = 0
    ) -> None:
        """Count packets that are not commands; disconnect a client that sends too many."""
        if self._chat.refusal_limit.exceeded_by_ignored(actor, count, size):
            subscriber.dismiss(TOO_MANY_REFUSALS, subscriber.encoding.last_frame)


def seq_ranges_of(result: CaughtUp) -> Mapping[Conversation, range]:
    """Return the range of `seq` of each conversation's messages in a result."""
    return {
        missed.messages[0].conversation: range(missed.messages[0].seq, missed.messages[-1].seq + 1)
        for missed in result.conversations
        if missed.messages
    }


def _error_fields(
    error_id: str, actor: Actor, request: Request, seconds: float
) -> dict[str, object]:
    return {
        "error_id": error_id,
        "command": _known(request.name),
        "user": actor.user_id,
        "connection": actor.connection_id,
        "duration": round(seconds, 6),
    }


def _known(name: str) -> str:
    """Return a command's name, or one name for all unknown commands."""
    return name if name in COMMANDS else OTHER
