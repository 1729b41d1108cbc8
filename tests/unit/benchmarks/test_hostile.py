"""The page about hostile clients shows the results, and attacks are as described."""

from datetime import date

import pytest

from benchmarks.compare import Comparison
from benchmarks.hostile import SERVER, Results, page
from benchmarks.load.attacks import ATTACKS, filled
from benchmarks.load.options import Load
from benchmarks.machine import Machine
from socketio_app.adapters.websocket.frames import FrameReader


def compared(growth: float) -> dict[str, Comparison]:
    figures = {
        "p99_alone_ms": 2.0,
        "p99_attacked_ms": 2.0 * growth,
        "p99_growth": growth,
        "cpu_percent": 50.0,
    }
    return {kind: Comparison(Load("hostile"), {SERVER.name: [figures]}) for kind in ATTACKS}


def test_each_kind_has_its_row_for_a_connection_and_for_an_address() -> None:
    machine = Machine("A processor", 2, 16, "Linux 9", {"Python": "3.99"})

    text = page(Results(date(2030, 1, 2), 3, machine, compared(1.5), compared(4.0)))

    for attack in ATTACKS.values():
        assert f"| {attack.title} | 2.00 | 3.00 | 1.50 × | reached | 50.0 |" in text
        assert f"| {attack.title} | 2.00 | 8.00 | 4.00 × | missed | 50.0 |" in text
    assert "2 January 2030" in text
    assert "- A processor, 2 cores, 16 GiB" in text


@pytest.mark.parametrize("kind", [kind for kind, each in ATTACKS.items() if each.is_websocket])
def test_attack_consists_of_valid_frames(kind: str) -> None:
    attack = ATTACKS[kind]
    sent = filled(attack, '40{"token":"t"}')
    reader = FrameReader(65_536)

    found = reader.feed(sent)
    while reader.has_more:
        found += reader.feed(b"")

    assert reader.error is None
    assert found or kind == "fragments"
