"""The results page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.aims import AIMS, APPENDS, DURABLE_DIRECT, Goal
from benchmarks.appends import TOGETHER
from benchmarks.appends import Figures as AppendFigures
from benchmarks.compare import Comparison
from benchmarks.machine import Machine
from benchmarks.promises import DIRECT, PROMISES
from benchmarks.report.large_stores import NOT_MEASURED
from benchmarks.report.plot import plot
from benchmarks.report.tables import number, table, times
from benchmarks.servers import BUN, FLOOR, NODE, OURS, PLAIN, Server
from benchmarks.suite import DURABLE, POSTGRESQL, SQLITE, Results

TEMPLATE = Path(__file__).parent / "page.md"

TITLES = {aim.comparison: aim.title for aim in reversed(AIMS)}
"""The title of each comparison, taken from its first goal."""

COLUMNS = {"this chat": OURS, "Node": NODE, "Bun": BUN, "plain": PLAIN, "floor": FLOOR}
"""The servers in the order of the tables. The cells of a server that was not measured are empty."""


def page(results: Results, large_stores: str = NOT_MEASURED) -> str:
    """The page, in Markdown; it shows `benchmarks.svg`.

    Args:
        results: What `make bench` measured.
        large_stores: The section that `make bench-stores` wrote.
    """
    return TEMPLATE.read_text().format(
        taken_on=f"{results.taken_on:%-d %B %Y}",
        rounds=results.rounds,
        machine=described(results.machine),
        large_stores=large_stores,
        against_node=_against_node(results),
        throughput=_throughput(results.against_all),
        rooms=_rooms(results.rooms),
        durable=_durable(results.durable),
        durable_goals=_durable_goals(results),
        promises=_promises(results.promises),
        flood=_flood(results.flood),
        many_idle=_many_idle(results.many_idle),
        appends="\n\n".join(_appends(name, each) for name, each in results.appends.items()),
    )


def picture(results: Results) -> str:
    """Return `benchmarks.svg`."""
    ratios = {
        aim.title: {
            server.name: results.against_all[aim.comparison].ratio(server, NODE, aim.figure)
            for server in (OURS, PLAIN, BUN)
            if server.name in results.against_all[aim.comparison].rounds
        }
        for aim in AIMS
    }
    lines = {
        server.name: {
            size: comparison.median(server, "cpu_us")
            for size, comparison in results.rooms.items()
            if server.name in comparison.rounds
        }
        for server in (OURS, PLAIN, BUN, NODE, FLOOR)
    }
    measured = {name: line for name, line in lines.items() if line}
    return plot(ratios, measured)


def described(machine: Machine) -> str:
    """Return the machine and the versions, as a list."""
    processor = f"{machine.processor}, {machine.processors} cores, {machine.memory_gib} GiB"
    versions = "\n".join(f"- {name} {version}" for name, version in machine.versions.items())
    return f"- {processor}\n- {machine.system}\n{versions}"


def _against_node(results: Results) -> str:
    rows = []
    for aim in AIMS:
        comparison = results.against_all[aim.comparison]
        verdict = [
            f"**{_ratio(comparison, OURS, NODE, aim.figure)}**",
            times(aim.goal),
            times(aim.limit),
            aim.verdict(comparison),
            _ratio(comparison, OURS, BUN, aim.figure),
            _ratio(comparison, PLAIN, OURS, aim.figure),
        ]
        rows.append([f"{aim.title}, {aim.unit}", *_medians(comparison, aim.figure), *verdict])
    ratios = ["this / Node", "goal", "limit", "", "this / Bun", "plain / this"]
    return table(["", *COLUMNS, *ratios], rows)


def _throughput(against_all: Mapping[str, Comparison]) -> str:
    rows = [
        [TITLES[name], *_medians(comparison, "deliveries_per_s")]
        for name, comparison in against_all.items()
        if comparison.load.scenario in {"fanout", "direct"}
    ]
    return table(["deliveries a second", *COLUMNS], rows)


def _rooms(rooms: Mapping[int, Comparison]) -> str:
    rows = [[f"{size:,}", *_medians(comparison, "cpu_us")] for size, comparison in rooms.items()]
    return table(["members", *COLUMNS], rows)


def _durable(durable: Mapping[str, Comparison]) -> str:
    servers = (OURS, SQLITE, POSTGRESQL)
    rows: list[Sequence[str]] = []
    for name in DURABLE:
        for unit, figure in (("CPU in µs", "cpu_us"), ("deliveries a second", "deliveries_per_s")):
            medians = [number(durable[name].median(server, figure)) for server in servers]
            rows.append([f"{TITLES[name]}: {unit}", *medians])
    return table(["", "memory", "SQLite", "PostgreSQL"], rows)


def _durable_goals(results: Results) -> str:
    direct, rows = results.durable["direct"], []
    for server in (SQLITE, POSTGRESQL):
        title = f"person to person on {server.name}, CPU in µs"
        goal = DURABLE_DIRECT[server.name]
        rows.append([title, *_against_goal(direct.median(server, "cpu_us"), goal)])
    for name in (SQLITE.name, POSTGRESQL.name):
        title = f"{TOGETHER} appending on {name}, messages a second"
        appended = results.appends[name.lower()][TOGETHER].per_second
        rows.append([title, *_against_goal(appended, APPENDS[name])])
    return table(["", "this chat", "goal", "limit", ""], rows)


def _against_goal(value: float, goal: Goal) -> Sequence[str]:
    return [f"**{number(value)}**", number(goal.goal), number(goal.limit), goal.verdict(value)]


def _promises(promises: Mapping[str, Comparison]) -> str:
    rows = []
    for promise in PROMISES:
        cells = []
        for comparison in (promises[promise.fanout], promises[DIRECT]):
            cells += [
                number(comparison.median(promise.off, "cpu_us")),
                number(comparison.median(promise.on, "cpu_us")),
                times(comparison.ratio(promise.on, promise.off, "cpu_us")),
            ]
        rows.append([promise.title, *cells])
    fanout = ["room: off", "on", "on / off"]
    direct = ["person to person: off", "on", "on / off"]
    return table(["", *fanout, *direct], rows)


def _flood(flood: Comparison) -> str:
    rows = []
    for name, server in COLUMNS.items():
        if server.name not in flood.rounds:
            continue
        alone, flooded, growth, sent = (
            flood.median(server, figure)
            for figure in ("p99_alone_ms", "p99_flooded_ms", "p99_growth", "flood_per_s")
        )
        rows.append([name, number(alone), number(flooded), times(growth), number(sent)])
    head = ["", "p99 without, ms", "p99 with, ms", "growth", "flooder's messages a second"]
    return table(head, rows)


def _many_idle(many_idle: Comparison) -> str:
    return (
        f"{many_idle.load.clients:,} connections were held for {many_idle.load.seconds:g} seconds: "
        f"none was lost, at {number(many_idle.median(OURS, 'cpu_percent'))}% of a core and "
        f"{number(many_idle.median(OURS, 'kib_per_connection'))} KiB per connection."
    )


def _appends(name: str, ways: Mapping[str, AppendFigures]) -> str:
    rows = [
        [way, *map(number, (each.per_second, each.cpu_us, each.p50_ms, each.p99_ms))]
        for way, each in ways.items()
    ]
    return table([name, "messages/s", "CPU µs", "p50 ms", "p99 ms"], rows)


def _medians(comparison: Comparison, figure: str) -> Sequence[str]:
    return [
        number(comparison.median(server, figure)) if server.name in comparison.rounds else ""
        for server in COLUMNS.values()
    ]


def _ratio(comparison: Comparison, server: Server, against: Server, figure: str) -> str:
    if not {server.name, against.name} <= comparison.rounds.keys():
        return ""
    return times(comparison.ratio(server, against, figure))
