"""The wire contract as text, derived from the registry and the encoders."""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, get_args, get_type_hints

import msgspec

from socketio_app.adapters.websocket import close_reasons, frames
from socketio_app.adapters.wire import outgoing
from socketio_app.adapters.wire.message_payloads import message_payload
from socketio_app.adapters.wire.outgoing import EventPayload
from socketio_app.adapters.wire.registry import COMMANDS, WireCommand
from socketio_app.domain.errors import ChatError
from socketio_app.domain.identifiers import UserId
from socketio_app.domain.messaging import Message
from tests.snapshots.payloads import payload_lines
from tests.snapshots.samples import samples
from tests.snapshots.shapes import field_lines

READER = UserId("ada")


def wire_contract() -> list[str]:
    """Return the contract, line by line."""
    messages = [_fields(message_payload(message)) for message in samples(Message)]
    return [
        "A `?` marks a field that may be missing.",
        *_section("Commands", (_titled(*each) for each in commands().items())),
        *_section("Events", (_titled(*each) for each in events().items())),
        *_section("Message", [field_lines(messages)]),
        *_section("Errors", (_titled(*each) for each in errors().items())),
        *_section("WebSocket close codes", [close_codes()]),
        *_section("Close reasons, in logs and metrics", [close_reason_texts()]),
    ]


def _section(title: str, entries: Iterable[Sequence[str]]) -> list[str]:
    return ["", title, "", *(line for entry in entries for line in entry)]


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *("    " + line for line in lines)]


def commands() -> Mapping[str, Sequence[str]]:
    """Return the lines of each command."""
    return {name: command_lines(row) for name, row in sorted(COMMANDS.items())}


def command_lines(row: WireCommand) -> list[str]:
    """Return the lines of a command: its rate, its payload and its result."""
    results = [row.answer(result, READER) for result in samples(_result_type(row))]
    return [
        f"rate: {row.command.kind}",
        *(["events wait for the result"] if row.holds_events else []),
        *("payload " + line for line in payload_lines(row)),
        *("result " + line for line in field_lines(results)),
    ]


def _result_type(row: WireCommand) -> Any:
    base = row.command.__orig_bases__[0]  # type: ignore[attr-defined]
    return get_args(base)[0]


def events() -> Mapping[str, Sequence[str]]:
    """Return the lines of each event."""
    payloads: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event_type, encode in outgoing.EVENTS.items():
        for event in samples(event_type):
            name, payload = encode(event)
            payloads[name].append(_fields(payload))
    payloads["error"] = [
        outgoing.error_event(outgoing.error_payload(error), command, [given])
        for error, command, given in product(
            _errors(), ["", "send_group_message"], [{}, {"client_message_id": "1"}]
        )
    ]
    return {name: field_lines(given) for name, given in sorted(payloads.items())}


def _fields(payload: EventPayload) -> Mapping[str, Any]:
    """Return the fields of a payload, without those that are left out."""
    if isinstance(payload, dict):
        return payload
    fields = msgspec.structs.asdict(payload)
    return {name: value for name, value in fields.items() if value is not None}


def errors() -> Mapping[str, Sequence[str]]:
    """Return the lines of each error, by its code."""
    payloads: dict[str, list[Mapping[str, Any]]] = {
        "internal": [outgoing.internal_error_payload("7")]
    }
    for error in _errors():
        payloads.setdefault(error.code, []).append(outgoing.error_payload(error))
    return {code: field_lines(given) for code, given in sorted(payloads.items())}


def _errors() -> Sequence[ChatError]:
    return [error for each in _error_classes(ChatError) for error in _instances(each)]


def _error_classes(base: type[ChatError]) -> list[type[ChatError]]:
    """Return all errors of the chat that have a code."""
    is_own = hasattr(base, "code") and base.__module__.startswith("socketio_app.")
    own = [base] if is_own else []
    return own + [found for each in base.__subclasses__() for found in _error_classes(each)]


def _instances(error: type[ChatError]) -> Sequence[ChatError]:
    types = get_type_hints(error.__init__)
    names = list(inspect.signature(error).parameters)
    return [error(*values) for values in product(*(samples(types[name]) for name in names))]


def close_codes() -> list[str]:
    """Return the codes that the server closes WebSockets with."""
    found = {
        value: name.lower().replace("_", " ")
        for name, value in vars(frames).items()
        if isinstance(value, int) and value in range(1000, 5000)
    }
    return [f"{code} {name}" for code, name in sorted(found.items())]


def close_reason_texts() -> list[str]:
    """Return the reasons for closing connections."""
    return sorted(
        value
        for name, value in vars(close_reasons).items()
        if name.isupper() and isinstance(value, str)
    )
