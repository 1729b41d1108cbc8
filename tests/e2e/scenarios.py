"""Random scenarios: clients connect, send events and disconnect."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import attrs
from hypothesis import strategies as st

from tests.e2e.frame_client import MAX_REQUEST_BYTES, FrameClient, Moment, Packet, Transport

USERS = ("ada", "bob", "eve")
LOBBY = "lobby"
"""A room that all users are in from the beginning."""
EPOCH = "the one epoch"

USER, ROOM = st.sampled_from(USERS), st.sampled_from([LOBBY, LOBBY, LOBBY, "den"])
TARGET = st.one_of(
    st.builds(lambda room: {"room_id": room}, ROOM),
    st.builds(lambda user: {"to_user_id": user}, USER),
)


LONG = "<long>"
ABBREVIATED = {
    LONG: "x" * 4096,
    "<digits>": "9" * 5000,
    "<nested>": "[" * 5000 + "]" * 5000,
    "<too much>": "x" * MAX_REQUEST_BYTES,
}
"""Long texts, by the abbreviations that keep a failing scenario readable."""


def expand(text: str) -> str:
    """Return the text to send."""
    for short, long in ABBREVIATED.items():
        text = text.replace(short, long)
    return text


@attrs.frozen
class Event:
    """An event, and how it is sent."""

    contents: str
    """Its JSON."""
    is_acknowledged: bool = True
    is_binary: bool = False
    times: int = 1

    def packets(self, client: FrameClient) -> list[Packet]:
        return [packet for _ in range(self.times) for packet in self._once(client)]

    def _once(self, client: FrameClient) -> list[Packet]:
        contents = expand(self.contents)
        packet = client.command(contents) if self.is_acknowledged else "42" + contents
        return ["451-" + packet[2:], b"\x00\xff"] if self.is_binary else [packet]


# Contents at the edges: of JSON, of a polling payload, of a frame's length.
CONTENT = st.one_of(
    st.sampled_from(["hello", "\x1e4", "é\u2028😀", '"\\', "x" * 90, LONG, LONG, LONG + "x"]),
    st.text(max_size=5),
)
CLIENT_MESSAGE_IDS: Sequence[dict[str, str]] = [
    {},
    {},
    {"client_message_id": "1"},
    {"client_message_id": "2"},
]
CLIENT_MESSAGE_ID = st.sampled_from(CLIENT_MESSAGE_IDS)
SEQ = st.integers(0, 5)


def command(name: str, *payloads: Any) -> str:
    return json.dumps([name, *payloads])


def personal(user: str, content: str, name: dict[str, str]) -> str:
    return command("send_personal_message", {"to_user_id": user, "content": content, **name})


def to_room(room: str, content: str, name: dict[str, str]) -> str:
    return command("send_group_message", {"room_id": room, "content": content, **name})


def catch_up(epoch: str, positions: Sequence[tuple[dict[str, str], int]]) -> str:
    held = [{"target": target, "seq": seq} for target, seq in positions]
    return command("catch_up", {"epoch": epoch, "positions": held})


SENDS = st.one_of(
    st.builds(to_room, ROOM, CONTENT, CLIENT_MESSAGE_ID),
    st.builds(personal, USER, CONTENT, CLIENT_MESSAGE_ID),
)
JOINS = st.builds(lambda room: command("join_room", {"room_id": room}), ROOM)
CATCH_UPS = st.builds(
    catch_up, st.sampled_from([EPOCH, "another"]), st.lists(st.tuples(TARGET, SEQ), max_size=2)
)
READS = st.one_of(
    CATCH_UPS,
    st.builds(
        lambda since: command("catch_up", {"since": f"{EPOCH.replace(' ', '-')}.{since}"}), SEQ
    ),
    st.builds(lambda target: command("fetch_history", target), TARGET),
    st.builds(lambda target, seq: command("mark_read", {**target, "seq": seq}), TARGET, SEQ),
    st.just(command("list_conversations", {})),
)
TYPING = st.builds(
    lambda event, target: command(event, target),
    st.sampled_from(["typing_start", "typing_stop"]),
    TARGET,
)
LEAVES = st.builds(lambda room: command("leave_room", {"room_id": room}), ROOM)
REJECTED = st.sampled_from(
    [
        command("shout", {}),
        '[7,{"room_id":"lobby"}]',
        command("join_room"),
        command("join_room", {"room_id": "lobby"}, 1),
        command("join_room", ["lobby"]),
        command("join_room", {"room_id": "no room"}),
        command("send_personal_message", {"to_user_id": "bob", "content": 1}),
        command("send_personal_message", {"to_user_id": "bob", "content": "\ud800"}),
        command("typing_start", {"to_user_id": "bob", "room_id": "lobby"}),
        '["mark_read",{"room_id":"lobby","seq":<digits>}]',
        '["join_room",<nested>]',
        ' [ "join_room" , { "room_id" : "den" } ] ',
    ]
)

EVENT = st.builds(
    Event,
    st.one_of(SENDS, SENDS, SENDS, SENDS, TYPING, TYPING, JOINS, LEAVES, READS, REJECTED),
    is_acknowledged=st.booleans(),
    is_binary=st.sampled_from([False] * 9 + [True]),
    times=st.sampled_from([1] * 6 + [2, 20, 100]),
)
EVENTS = st.lists(EVENT, max_size=6)
# Few enough that the server has read them when it closes: otherwise the connection would be reset,
# and what the server had written would be lost.
FEW_EVENTS = st.lists(st.builds(Event, JOINS), max_size=3)

ENDINGS: Sequence[Sequence[Packet]] = [
    ["41", "1"],
    ["1"],
    ["x"],
    [""],
    ["4"],
    ["49"],
    ["42"],
    ["42{}"],
    ["42[]"],
    ['42["join_room",NaN]'],
    ['42/admin,["join_room",{"room_id":"den"}]'],
    ['40{"token":"ada"}'],
    ["451-[]"],
    ['451-["join_room",{}]', '42["join_room",{"room_id":"den"}]'],
    ['4599-["join_room",{}]'],
    [b"\x00"],
    ["4\udcff"],
    ["4<too much>"],
]


OpeningMoment = Literal["before the read", "after the read"]
"""When the connection reads the messages that its user missed."""


@attrs.frozen
class Send:
    """A client sends events in one write or request, each in `pieces` frames of a WebSocket."""

    client: int
    events: Sequence[Event]
    pieces: int = 1


@attrs.frozen
class Connect:
    """A user connects; the first events follow the CONNECT in the same write."""

    user: str
    transport: Transport
    events: Sequence[Event] = ()
    is_rejected_first: bool = False
    has_small_buffer: bool = False
    meanwhile: Send | None = None
    """What another client sends while the connection opens."""
    moment: OpeningMoment = "after the read"


@attrs.frozen
class Upgrade:
    """A polling client upgrades to a WebSocket, or tries to, while another client sends events."""

    client: int
    meanwhile: Send
    moment: Moment
    events: Sequence[Event] = ()
    fails: bool = False


@attrs.frozen
class Reconnect:
    """A client disconnects from the namespace and connects again over the same session."""

    client: int


@attrs.frozen
class Ping:
    """A client sends a WebSocket ping."""

    client: int


@attrs.frozen
class EndConnection:
    """A client sends packets that end its connection, and events that must have no effect."""

    client: int
    ending: Sequence[Packet]
    events: Sequence[Event] = ()

    def packets(self, client: FrameClient) -> list[Packet]:
        ending = [expand(each) if isinstance(each, str) else each for each in self.ending]
        return [*ending, *(packet for event in self.events for packet in event.packets(client))]


@attrs.frozen
class Disconnect:
    """A client closes its transport, cleanly or by aborting it."""

    client: int
    is_clean: bool


@attrs.frozen
class Wait:
    """Time passes."""

    seconds: int


Step = Connect | Send | Upgrade | Reconnect | Ping | EndConnection | Disconnect | Wait

CLIENT = st.integers(0, 5)
SEND = st.builds(Send, CLIENT, st.lists(EVENT, min_size=1, max_size=6), st.sampled_from([1, 1, 3]))
# Enough that the server has to wait for clients that do not read.
FLOOD = st.builds(Send, CLIENT, st.just([Event(to_room(LOBBY, LONG, {}), times=100)]))
CONNECT = st.builds(
    Connect,
    USER,
    st.sampled_from(["polling", "websocket"]),
    st.one_of(st.just([]), EVENTS),
    is_rejected_first=st.sampled_from([False] * 4 + [True]),
    has_small_buffer=st.sampled_from([False] * 3 + [True]),
    meanwhile=st.one_of(st.none(), SEND),
    moment=st.sampled_from(["before the read", "after the read"]),
)
UPGRADE = st.builds(
    Upgrade,
    CLIENT,
    SEND,
    st.sampled_from(["before the probe", "after the probe"]),
    EVENTS,
    st.sampled_from([False, False, True]),
)
STEP = st.one_of(
    SEND,
    SEND,
    SEND,
    SEND,
    SEND,
    FLOOD,
    CONNECT,
    UPGRADE,
    UPGRADE,
    st.builds(Reconnect, CLIENT),
    st.builds(Ping, CLIENT),
    st.builds(EndConnection, CLIENT, st.sampled_from(ENDINGS), FEW_EVENTS),
    st.builds(Disconnect, CLIENT, st.booleans()),
    st.builds(Wait, st.sampled_from([1, 10])),
)


@attrs.frozen
class Scenario:
    """A sequence of steps. With `store_waits`, calls to the store do not return immediately."""

    steps: Sequence[Step]
    store_waits: bool


SCENARIO = st.builds(
    lambda first, second, steps, store_waits: Scenario([first, second, *steps], store_waits),
    CONNECT,
    CONNECT,
    st.lists(STEP, min_size=4, max_size=20),
    st.booleans(),
)
