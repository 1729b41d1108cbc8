"""Measure the cost of rate limiting a command, by connection and by user.

Usage: python -m benchmarks.admission

Prints microseconds per command, the best of several rounds, over a thousand connections in turn.
"""

from collections.abc import Mapping, Sequence
from time import process_time

from socketio_app.adapters.system import SystemClock
from socketio_app.application.admission import Admission
from socketio_app.application.commands import Actor, CommandKind, SendMessage
from socketio_app.domain.identifiers import ConnectionId, UserId
from socketio_app.domain.rates import Rate, Rates

ROUNDS = 200
ACTORS = [Actor(UserId(f"user{n % 500}"), ConnectionId(f"connection{n}")) for n in range(1000)]
FAST = Rate(per_second=1_000_000, burst=10_000_000)


def microseconds(rates: Mapping[CommandKind, Rates], actors: Sequence[Actor] = ACTORS) -> float:
    """Return the cost of one command under some rates."""
    admission = Admission(SystemClock(), rates)
    best = float("inf")
    for _ in range(ROUNDS):
        begin = process_time()
        for actor in actors:
            admission.check(actor, SendMessage)
        best = min(best, process_time() - begin)
    return best / len(actors) * 1e6


if __name__ == "__main__":
    without, with_rates = microseconds({}), microseconds({"send": Rates(FAST, FAST)})
    print(f"{with_rates - without:.2f} us for a command that is limited")
