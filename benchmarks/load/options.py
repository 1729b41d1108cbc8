"""Options of a load."""

import argparse
from collections.abc import Sequence
from typing import Any

import attrs


def _option(default: float | str, meaning: str) -> Any:
    return attrs.field(default=default, metadata={"meaning": meaning})


@attrs.frozen
class Load:
    """A scenario (`scenarios.py`) and its sizes."""

    scenario: str
    clients: int = _option(200, "connections, each of a user of its own")
    senders: int = _option(4, "how many of them send, in fanout")
    window: int = _option(4, "messages in flight for each sender, in fanout and direct")
    rate: float = _option(20.0, "messages a second, in latency, flood and quiet")
    size: int = _option(64, "characters of a message's content")
    seconds: float = _option(2.0, "how long is measured")
    warm_up: float = _option(1.0, "seconds of the same load before")

    transport: str = _option("socketio", "what the clients use: socketio, json or both in turn")
    attack: str = _option("", "the kind of input of a hostile client (attacks.py), in hostile")
    attackers: int = _option(1, "connections of the hostile client, in hostile")

    def as_arguments(self) -> Sequence[str]:
        """Return the command line arguments that `of` parses."""
        sizes = attrs.asdict(self, filter=attrs.filters.exclude("scenario"))
        return [self.scenario, *[f"--{_dashed(name)}={value}" for name, value in sizes.items()]]

    @classmethod
    def of(cls, given: argparse.Namespace) -> "Load":
        """Return the options parsed by a parser with `add_options`."""
        return cls(**{field.name: getattr(given, field.name) for field in attrs.fields(cls)})


def add_options(parser: argparse.ArgumentParser, scenarios: Sequence[str]) -> None:
    """Add the options of a load to a parser."""
    parser.add_argument("scenario", choices=scenarios)
    for field in attrs.fields(Load):
        if field.name != "scenario":
            parser.add_argument(
                f"--{_dashed(field.name)}",
                type=type(field.default),
                default=field.default,
                help=f"{field.metadata['meaning']} ({field.default})",
            )


def _dashed(name: str) -> str:
    return name.replace("_", "-")
