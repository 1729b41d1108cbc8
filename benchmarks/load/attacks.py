"""What a hostile client sends: of each kind, the most expensive input that was found.

Everything is made before, so that sending costs little and it is the server that is measured.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence

import attrs

from benchmarks.load.frames import masked

UPGRADE = (
    "GET /socket.io/?EIO=4&transport=websocket{sid} HTTP/1.1\r\nHost: chat\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
POLL = "GET /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: chat\r\n\r\n"

MANY = 65_000
"""Close to the maximum frame size."""

NUMBERS = "[" + ",".join(["1e300"] * (MANY // 6)) + "]"
NAMES = "{" + ",".join(f'"{number:x}":0' for number in range(MANY // 9)) + "}"
NESTED = ",".join(["[" * 900 + "]" * 900] * (MANY // 1802))
SURROGATES = '"' + "\\ud800\\u0041" * 1000 + '"'


@attrs.frozen
class Attack:
    """A kind of hostile input."""

    title: str
    repeated: bytes
    """Sent repeatedly, as fast as the server reads it."""
    opening: Sequence[str] = ()
    """Initial Socket.IO packets, over a WebSocket."""
    is_authenticated: bool = True
    is_websocket: bool = True
    is_upgrade: bool = False
    """Whether each is sent over a new WebSocket of one polling session."""


def packets(*sent: str) -> bytes:
    """Return packets as masked WebSocket frames, repeated up to some kilobytes."""
    once = b"".join(masked(packet.encode()) for packet in sent)
    return once * max(1, MANY // len(once))


def _bad_token() -> str:
    """Return a token of maximum length, which is expensive to read and then invalid."""
    numbers = b'{"alg":"HS256","typ":"JWT","x":[' + b",".join([b"1e300"] * 950) + b"1]}"
    header = base64.urlsafe_b64encode(numbers).rstrip(b"=").decode()
    return f"{header}.e30.c2lnbmF0dXJl"[:8192]


CONNECT_BADLY = "40" + json.dumps({"token": _bad_token()})
SEND = ["send_personal_message", {"to_user_id": "nobody", "content": "x" * 4096}]
READS = [
    '421["fetch_history",{"to_user_id":"nobody","limit":200}]',
    '422["list_conversations",{"limit":200}]',
    '423["catch_up",{"epoch":"x","positions":[]}]',
]
POSITIONS = json.dumps([{"target": {"to_user_id": f"u{n}"}, "seq": 1} for n in range(1000)])

ATTACKS: Mapping[str, Attack] = {
    "numbers": Attack("JSON: numbers, unknown command", packets(f'421["x",{NUMBERS}]')),
    "names": Attack(
        "JSON: names, unknown field", packets(f'421["join_room",{{"x":{NAMES},"room_id":"lobby"}}]')
    ),
    "nesting": Attack("JSON: nesting, wrong type", packets(f'421["join_room",{{"x":[{NESTED}]}}]')),
    "surrogates": Attack(
        "JSON: lone surrogates", packets(f'421["join_room",{{"room_id":{SURROGATES}}}]')
    ),
    "positions": Attack(
        "`catch_up` with 1,000 positions",
        packets(f'421["catch_up",{{"epoch":"x","positions":{POSITIONS}}}]'),
    ),
    "strangers": Attack(
        "JSON after a rejected CONNECT",
        packets(f"430[{NUMBERS}]"),
        ['40{"token":"x"}'],
        is_authenticated=False,
    ),
    "acks": Attack("acknowledgements", packets("430[]")),
    "large_acks": Attack("acknowledgements, large", packets(f"430[{NUMBERS}]")),
    "unknown": Attack("unknown commands", packets('421["x"]')),
    "refused": Attack(
        "messages above the rate",
        packets('421["send_group_message",{"room_id":"x","content":"x"}]'),
    ),
    "reads": Attack("pipelined reads", packets(*READS), ["42" + json.dumps(SEND)] * 100),
    "connects": Attack("CONNECT and DISCONNECT", packets("{connect}", "41")),
    "tokens": Attack("invalid tokens", packets(CONNECT_BADLY), is_authenticated=False),
    "pings": Attack("WebSocket pings", masked(b"x" * 125, 0x9) * 500),
    "fragments": Attack("empty fragments", masked(b"", 0x1, 0) + masked(b"", 0x0, 0) * 10_000),
    "probes": Attack(
        "upgrade probes",
        masked(b"2probe"),
        is_authenticated=False,
        is_websocket=False,
        is_upgrade=True,
    ),
    "handshakes": Attack(
        "handshakes", POLL.format(sid="").encode(), is_authenticated=False, is_websocket=False
    ),
    "polls": Attack(
        "polls without a session",
        POLL.format(sid="&sid=nobody").encode() * 100,
        is_authenticated=False,
        is_websocket=False,
    ),
    "queries": Attack(
        "large query strings",
        POLL.format(sid="&" + "&".join(f"{n}=" for n in range(8000))).encode(),
        is_authenticated=False,
        is_websocket=False,
    ),
}

Filled = Callable[[str], bytes]


def filled(attack: Attack, connect: str) -> bytes:
    """Return the repeated data, in which a CONNECT packet may have a valid token."""
    if b"{connect}" not in attack.repeated:
        return attack.repeated
    return packets(connect, "41")
