"""What may happen in a chat, at random: who comes, what they send, and how they go."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import attrs
from hypothesis import strategies as st

from tests.e2e.frame_client import MAX_REQUEST_BYTES, FrameClient, Moment, Packet, Transport

USERS = ("ada", "bob", "eve")
LOBBY = "lobby"
"""A room that all of them are in from the beginning."""
EPOCH = "the one epoch"

USER, ROOM = st.sampled_from(USERS), st.sampled_from([LOBBY, LOBBY, LOBBY, "den"])
TARGET = st.one_of(
    st.builds(lambda room: {"room_id": room}, ROOM),
    st.builds(lambda user: {"to_user_id": user}, USER),
)


LONG = "<long>"
LONG_ONES = {
    LONG: "x" * 4096,
    "<digits>": "9" * 5000,
    "<nested>": "[" * 5000 + "]" * 5000,
    "<too much>": "x" * MAX_REQUEST_BYTES,
}
"""What would be too long where a scenario that fails is shown, and how it is called there."""


def written_out(text: str) -> str:
    """The text as it is sent."""
    for short, long in LONG_ONES.items():
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
        contents = written_out(self.contents)
        packet = client.command(contents) if self.is_acknowledged else "42" + contents
        return ["451-" + packet[2:], b"\x00\xff"] if self.is_binary else [packet]


# Contents at the edges: of JSON, of a polling payload, of a frame's length.
CONTENT = st.one_of(
    st.sampled_from(["hello", "\x1e4", "é\u2028😀", '"\\', "x" * 90, LONG, LONG, LONG + "x"]),
    st.text(max_size=5),
)
NAMED: Sequence[dict[str, str]] = [{}, {}, {"client_message_id": "1"}, {"client_message_id": "2"}]
CLIENT_MESSAGE_ID = st.sampled_from(NAMED)
SEQ = st.integers(0, 5)


def said(name: str, *payloads: Any) -> str:
    return json.dumps([name, *payloads])


def personal(user: str, content: str, name: dict[str, str]) -> str:
    return said("send_personal_message", {"to_user_id": user, "content": content, **name})


def to_room(room: str, content: str, name: dict[str, str]) -> str:
    return said("send_group_message", {"room_id": room, "content": content, **name})


def caught_up(epoch: str, positions: Sequence[tuple[dict[str, str], int]]) -> str:
    held = [{"target": target, "seq": seq} for target, seq in positions]
    return said("catch_up", {"epoch": epoch, "positions": held})


SENT = st.one_of(
    st.builds(to_room, ROOM, CONTENT, CLIENT_MESSAGE_ID),
    st.builds(personal, USER, CONTENT, CLIENT_MESSAGE_ID),
)
JOINED = st.builds(lambda room: said("join_room", {"room_id": room}), ROOM)
CAUGHT_UP = st.builds(
    caught_up, st.sampled_from([EPOCH, "another"]), st.lists(st.tuples(TARGET, SEQ), max_size=2)
)
READ = st.one_of(
    CAUGHT_UP,
    st.builds(lambda since: said("catch_up", {"since": f"{EPOCH.replace(' ', '-')}.{since}"}), SEQ),
    st.builds(lambda target: said("fetch_history", target), TARGET),
    st.builds(lambda target, seq: said("mark_read", {**target, "seq": seq}), TARGET, SEQ),
    st.just(said("list_conversations", {})),
)
TYPED = st.builds(
    lambda event, target: said(event, target),
    st.sampled_from(["typing_start", "typing_stop"]),
    TARGET,
)
LEFT = st.builds(lambda room: said("leave_room", {"room_id": room}), ROOM)
REFUSED = st.sampled_from(
    [
        said("shout", {}),
        '[7,{"room_id":"lobby"}]',
        said("join_room"),
        said("join_room", {"room_id": "lobby"}, 1),
        said("join_room", ["lobby"]),
        said("join_room", {"room_id": "no room"}),
        said("send_personal_message", {"to_user_id": "bob", "content": 1}),
        said("send_personal_message", {"to_user_id": "bob", "content": "\ud800"}),
        said("typing_start", {"to_user_id": "bob", "room_id": "lobby"}),
        '["mark_read",{"room_id":"lobby","seq":<digits>}]',
        '["join_room",<nested>]',
        ' [ "join_room" , { "room_id" : "den" } ] ',
    ]
)

EVENT = st.builds(
    Event,
    st.one_of(SENT, SENT, SENT, SENT, TYPED, TYPED, JOINED, LEFT, READ, REFUSED),
    is_acknowledged=st.booleans(),
    is_binary=st.sampled_from([False] * 9 + [True]),
    times=st.sampled_from([1] * 6 + [2, 20, 100]),
)
EVENTS = st.lists(EVENT, max_size=6)
# Little enough that the server has read it when it closes: else it would cut the connection, and
# what it had written with it.
LITTLE = st.lists(st.builds(Event, JOINED), max_size=3)

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
"""Of what the user has missed."""


@attrs.frozen
class Say:
    """A client sends events in one write or request, over a WebSocket each in several frames."""

    client: int
    events: Sequence[Event]
    pieces: int = 1


@attrs.frozen
class Come:
    """Somebody connects; what they say at once goes out behind the CONNECT, in one write."""

    user: str
    transport: Transport
    events: Sequence[Event] = ()
    is_refused_first: bool = False
    has_small_buffer: bool = False
    meanwhile: Say | None = None
    """What somebody else says while the connection opens."""
    moment: OpeningMoment = "after the read"


@attrs.frozen
class Upgrade:
    """A polling client changes to a WebSocket, or tries, while another says something."""

    client: int
    meanwhile: Say
    moment: Moment
    events: Sequence[Event] = ()
    fails: bool = False


@attrs.frozen
class ComeAgain:
    """A client leaves the namespace and comes back over the same Engine.IO connection."""

    client: int


@attrs.frozen
class Ping:
    """A client sends a ping of the WebSocket protocol's."""

    client: int


@attrs.frozen
class End:
    """A client sends what ends its connection, and what must have no effect behind it."""

    client: int
    ending: Sequence[Packet]
    events: Sequence[Event] = ()

    def packets(self, client: FrameClient) -> list[Packet]:
        ending = [written_out(each) if isinstance(each, str) else each for each in self.ending]
        return [*ending, *(packet for event in self.events for packet in event.packets(client))]


@attrs.frozen
class Go:
    """A client's transport goes, with a goodbye or without."""

    client: int
    is_polite: bool


@attrs.frozen
class Wait:
    """Time passes."""

    seconds: int


Step = Come | Say | Upgrade | ComeAgain | Ping | End | Go | Wait

CLIENT = st.integers(0, 5)
SAY = st.builds(Say, CLIENT, st.lists(EVENT, min_size=1, max_size=6), st.sampled_from([1, 1, 3]))
# So much that the server has to wait for whoever does not read.
FLOOD = st.builds(Say, CLIENT, st.just([Event(to_room(LOBBY, LONG, {}), times=100)]))
COME = st.builds(
    Come,
    USER,
    st.sampled_from(["polling", "websocket"]),
    st.one_of(st.just([]), EVENTS),
    is_refused_first=st.sampled_from([False] * 4 + [True]),
    has_small_buffer=st.sampled_from([False] * 3 + [True]),
    meanwhile=st.one_of(st.none(), SAY),
    moment=st.sampled_from(["before the read", "after the read"]),
)
UPGRADE = st.builds(
    Upgrade,
    CLIENT,
    SAY,
    st.sampled_from(["before the probe", "after the probe"]),
    EVENTS,
    st.sampled_from([False, False, True]),
)
STEP = st.one_of(
    SAY,
    SAY,
    SAY,
    SAY,
    SAY,
    FLOOD,
    COME,
    UPGRADE,
    UPGRADE,
    st.builds(ComeAgain, CLIENT),
    st.builds(Ping, CLIENT),
    st.builds(End, CLIENT, st.sampled_from(ENDINGS), LITTLE),
    st.builds(Go, CLIENT, st.booleans()),
    st.builds(Wait, st.sampled_from([1, 10])),
)


@attrs.frozen
class Scenario:
    """What happens, one step after the other; the chat's store may keep its callers waiting."""

    steps: Sequence[Step]
    store_waits: bool


SCENARIO = st.builds(
    lambda first, second, steps, store_waits: Scenario([first, second, *steps], store_waits),
    COME,
    COME,
    st.lists(STEP, min_size=4, max_size=20),
    st.booleans(),
)
