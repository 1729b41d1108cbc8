"""The plot shows every figure at its position."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from benchmarks.report.plot import COLORS, Scale, plot

SVG = "{http://www.w3.org/2000/svg}"
RATIOS = {"in a room": {"ours": 0.5, "plain": 4.0}, "alone": {"ours": 1.0, "plain": 2.0}}
LINES = {"ours": {10: 8.0, 100: 2.0, 1000: 2.0}, "plain": {10: 32.0}}


def dots(color: str) -> Iterator[tuple[str, float, float]]:
    """Return the texts and their positions."""
    for circle in ET.fromstring(plot(RATIOS, LINES)).iter(f"{SVG}circle"):  # noqa: S314  (our own)
        if circle.get("fill") == color:
            yield (
                str(circle.findtext(f"{SVG}title")),
                float(circle.attrib["cx"]),
                float(circle.attrib["cy"]),
            )


def test_equal_ratios_are_equally_far_apart() -> None:
    scale = Scale(1, 100, 0, 200)

    assert [scale.at(value) for value in (1, 10, 100)] == [0, 100, 200]


def test_value_beyond_scale_is_at_its_end() -> None:
    scale = Scale(1, 100, 0, 200)

    assert (scale.at(0.1), scale.at(1000)) == (0, 200)


def test_ticks_are_round_and_within_the_scale() -> None:
    assert Scale(0.15, 12, 0, 1).ticks() == pytest.approx([0.2, 0.5, 1, 2, 5, 10])


def test_smaller_ratio_is_further_left() -> None:
    places = {
        said: x
        for color in COLORS[:2]
        for said, x, y in dots(color)
        if y < 200 and said[0].isdigit()
    }

    assert places["0.50"] < places["1.00"] < places["2.00"] < places["4.00"]


def test_line_has_dot_per_room_size_with_higher_cost_above() -> None:
    legend, first, second, third = list(dots(COLORS[0]))[3:]

    assert legend[0] == "ours"
    assert [first[0], second[0], third[0]] == ["8.00", "2.00", "2.00"]
    assert first[1] < second[1] < third[1]
    assert first[2] < second[2] == third[2]
