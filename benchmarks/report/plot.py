"""The plot of the results page, as SVG: small, and reproducible from the same results.

Both panels have logarithmic axes, because ratios are compared.
"""

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

import attrs

from benchmarks.report.tables import number

WIDTH, ROW, MARGIN = 860, 34, 40
LEFT, RIGHT = 300, WIDTH - MARGIN
LINES_HEIGHT = 240
COLORS = ("#0072b2", "#d55e00", "#cc79a7", "#009e73", "#888888")
INK, FAINT = "#222222", "#dddddd"


@attrs.frozen
class Scale:
    """A scale from values to positions on the page."""

    lowest: float
    highest: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return a position; values outside the scale are at its end."""
        held = min(max(value, self.lowest), self.highest)
        share = math.log(held / self.lowest) / math.log(self.highest / self.lowest)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> Sequence[float]:
        """Powers of ten, and twice and five times each."""
        first, last = math.floor(math.log10(self.lowest)), math.ceil(math.log10(self.highest))
        steps = [
            mantissa * 10.0**power for power in range(first, last + 1) for mantissa in (1, 2, 5)
        ]
        return [step for step in steps if self.lowest <= step <= self.highest]


def plot(
    ratios: Mapping[str, Mapping[str, float]], lines: Mapping[str, Mapping[int, float]]
) -> str:
    """The whole picture.

    Args:
        ratios: for each scenario, each server's figure as a multiple of Node's.
        lines: for each server, microseconds of CPU for a delivery by the room's size.
    """
    bars_height = 90 + ROW * len(ratios)
    height = bars_height + LINES_HEIGHT + 110
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "font-family": "sans-serif",
            "font-size": "13",
        },
    )
    ET.SubElement(
        svg, "title"
    ).text = "The chat against socket.io on Node and Bun, and python-socketio"
    ET.SubElement(svg, "rect", {"width": str(WIDTH), "height": str(height), "fill": "white"})
    _ratios(svg, ratios)
    _lines(svg, lines, bars_height + 50)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _ratios(svg: ET.Element, ratios: Mapping[str, Mapping[str, float]]) -> None:
    values = [value for each in ratios.values() for value in each.values()]
    scale = Scale(min(*values, 0.5) * 0.9, max(*values, 2.0) * 1.1, LEFT, RIGHT)
    bottom = 64 + ROW * len(ratios)
    _text(svg, MARGIN, 26, "Ratio to Node, lower is better", weight="bold")
    _legend(svg, list(next(iter(ratios.values()))), LEFT, 26)
    for tick in scale.ticks():
        _line(svg, scale.at(tick), 48, scale.at(tick), bottom, INK if tick == 1 else FAINT)
        _text(svg, scale.at(tick), bottom + 16, f"{tick:g}", anchor="middle")
    for row, (title, each) in enumerate(ratios.items()):
        y = 70 + ROW * row
        _text(svg, LEFT - 12, y + 4, title, anchor="end")
        for color, value in zip(COLORS, each.values(), strict=False):
            _dot(svg, scale.at(value), y, color, number(value))


def _lines(svg: ET.Element, lines: Mapping[str, Mapping[int, float]], top: float) -> None:
    sizes = sorted({size for each in lines.values() for size in each})
    values = [value for each in lines.values() for value in each.values()]
    across = Scale(sizes[0], sizes[-1], MARGIN + 30, RIGHT)
    up = Scale(min(values) * 0.8, max(values) * 1.2, top + LINES_HEIGHT, top + 30)
    _text(svg, MARGIN, top, "CPU per delivery in µs, by room size", weight="bold")
    _legend(svg, list(lines), LEFT + 60, top)
    for tick in up.ticks():
        _line(svg, across.begin, up.at(tick), across.end, up.at(tick), FAINT)
        _text(svg, across.begin - 8, up.at(tick) + 4, f"{tick:g}", anchor="end")
    for size in sizes:
        _text(svg, across.at(size), top + LINES_HEIGHT + 22, f"{size:,}", anchor="middle")
    for color, each in zip(COLORS, lines.values(), strict=False):
        places = [(across.at(size), up.at(value)) for size, value in sorted(each.items())]
        points = " ".join(f"{x},{y}" for x, y in places)
        drawn = {"points": points, "fill": "none", "stroke": color, "stroke-width": "2"}
        ET.SubElement(svg, "polyline", drawn)
        for (x, y), (_, value) in zip(places, sorted(each.items()), strict=True):
            _dot(svg, x, y, color, number(value))


def _legend(svg: ET.Element, names: Sequence[str], x: float, y: float) -> None:
    for color, name in zip(COLORS, names, strict=False):
        _dot(svg, x, y - 4, color, name)
        _text(svg, x + 10, y, name)
        x += 30 + 7.2 * len(name)


def _dot(svg: ET.Element, x: float, y: float, color: str, title: str) -> None:
    place = {"cx": f"{x:g}", "cy": f"{y:g}", "r": "5", "fill": color}
    ET.SubElement(ET.SubElement(svg, "circle", place), "title").text = title


def _line(svg: ET.Element, x1: float, y1: float, x2: float, y2: float, color: str) -> None:
    ends = {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}"}
    ET.SubElement(svg, "line", {**ends, "stroke": color})


def _text(
    svg: ET.Element, x: float, y: float, said: str, anchor: str = "start", weight: str = "normal"
) -> None:
    place = {"x": f"{x:g}", "y": f"{y:g}", "fill": INK, "text-anchor": anchor}
    ET.SubElement(svg, "text", {**place, "font-weight": weight}).text = said
