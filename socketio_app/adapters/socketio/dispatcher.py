"""Carries out the commands in a connection's events, and answers each exactly once."""

import logging
from collections.abc import Coroutine, Mapping
from time import perf_counter
from typing import Any
from uuid import uuid4

from socketio_app.adapters.fanout.subscriber import Subscriber
from socketio_app.adapters.socketio.events import CommandEvent
from socketio_app.adapters.socketio.packets import DISCONNECT_FRAME, ack_frame, event_frame
from socketio_app.adapters.socketio.refusal_log import RefusalLog
from socketio_app.adapters.websocket.close_reasons import TOO_MANY_REFUSALS
from socketio_app.adapters.wire import incoming, outgoing
from socketio_app.application.chat import Chat
from socketio_app.application.commands import Actor, CaughtUp, Command
from socketio_app.application.delivery import messages_to
from socketio_app.application.metrics import OTHER, Metrics
from socketio_app.application.tracing import Tracing
from socketio_app.domain.conversations import Conversation
from socketio_app.domain.errors import ChatError, TokenRejected

log = logging.getLogger("socketio_app.socketio")


class CommandDispatcher:
    """Turns events into commands of the chat's."""

    def __init__(
        self,
        chat: Chat,
        refusals: RefusalLog,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._chat = chat
        self._refusals = refusals
        self._metrics = metrics
        self._tracing = tracing

    def run(
        self, actor: Actor, subscriber: Subscriber, event: CommandEvent
    ) -> Coroutine[Any, Any, object]:
        """Carry out the command in an event; acknowledge it, or say why not."""
        if self._tracing is None:
            return self._work(actor, subscriber, event)
        return self._run_traced(self._tracing, actor, subscriber, event)

    async def _run_traced(
        self, tracing: Tracing, actor: Actor, subscriber: Subscriber, event: CommandEvent
    ) -> None:
        with tracing.command(_known(event.name), actor) as outcome:
            outcome.code = await self._work(actor, subscriber, event)

    def _work(
        self, actor: Actor, subscriber: Subscriber, event: CommandEvent
    ) -> Coroutine[Any, Any, str]:
        if event.name == "catch_up" and event.ack_id is not None:
            return self._catch_up(actor, subscriber, event)
        return self._run(actor, subscriber, event)

    async def _catch_up(self, actor: Actor, subscriber: Subscriber, event: CommandEvent) -> str:
        """Hold back what is broadcast until the answer is written."""
        subscriber.hold_all()
        try:
            return await self._run(actor, subscriber, event)
        finally:
            subscriber.release_all()

    async def _run(self, actor: Actor, subscriber: Subscriber, event: CommandEvent) -> str:
        begin, outcome = perf_counter(), "ok"
        try:
            result = await self._chat.execute(actor, _command(event))
        except ChatError as error:
            outcome = error.code
            if isinstance(error, TokenRejected):
                source = {"connection": actor.connection_id, "user": actor.user_id}
                self._refusals.refused("token refresh refused", error, source)
            _refuse(subscriber, event, outgoing.refusal(error))
            if self._chat.refusal_limit.exceeded(actor, error, event.size):
                subscriber.end(TOO_MANY_REFUSALS, DISCONNECT_FRAME)
        except Exception:
            error_id, outcome = new_error_id(), "internal"
            known = _known(event.name)
            fields = {
                "error_id": error_id,
                "command": known,
                "user": actor.user_id,
                "connection": actor.connection_id,
                "duration": round(perf_counter() - begin, 6),
            }
            log.exception("fault %s in %s", error_id, known, extra=fields)
            _refuse(subscriber, event, outgoing.fault(error_id))
        else:
            if event.ack_id is not None:
                answer = outgoing.acknowledgement(result, actor.user_id)
                subscriber.write(ack_frame(event.ack_id, answer))
                for message in messages_to(actor.user_id, result):
                    subscriber.expect(message)
                if isinstance(result, CaughtUp):
                    subscriber.release_all(places_of(result))
        if self._metrics is not None:
            self._metrics.command(event.name, outcome, perf_counter() - begin)
        return outcome

    def count_ignored(
        self, actor: Actor, subscriber: Subscriber, count: int = 1, size: int = 0
    ) -> None:
        """Count packets that are no command; close a connection that sends many of them."""
        if self._chat.refusal_limit.exceeded_by_ignored(actor, count, size):
            subscriber.end(TOO_MANY_REFUSALS, DISCONNECT_FRAME)


def _command(event: CommandEvent) -> Command[Any]:
    if event.wrong is not None:
        raise event.wrong
    return incoming.parse(event.name, event.payloads, is_readable=event.is_readable)


def places_of(result: CaughtUp) -> Mapping[Conversation, range]:
    """The places of each conversation's messages in an answer."""
    return {
        missed.messages[0].conversation: range(missed.messages[0].seq, missed.messages[-1].seq + 1)
        for missed in result.conversations
        if missed.messages
    }


def _known(name: str) -> str:
    """A command's name: others are made up by clients."""
    return name if name in incoming.COMMANDS else OTHER


def _refuse(subscriber: Subscriber, event: CommandEvent, error: outgoing.Payload) -> None:
    if event.ack_id is not None:
        subscriber.write(ack_frame(event.ack_id, {"ok": False, "error": error}))
    else:
        told = outgoing.error_event(error, event.name, event.identified)
        subscriber.write(event_frame("error", told))


def new_error_id() -> str:
    """Names a fault, in the log and to the client."""
    return uuid4().hex[:12]
