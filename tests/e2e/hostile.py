"""Hostile clients, whose traffic is drawn at random from variations of valid traffic.

All traffic of a client is drawn in advance, so that a failing example can be reproduced.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Sequence
from typing import Literal

import attrs
from hypothesis import strategies as st

from socketio_app.adapters.wire.registry import COMMANDS
from tests.tokens import token

Ending = Literal["close", "reset", "half close"]

SID = b"{sid}"
"""Placeholder for the session id from the client's first handshake."""

PATIENCE_SECONDS = 0.05
"""How long a client reads after its last write; most replies arrive much sooner."""

_SID = re.compile(rb'"sid":"([^"]+)"')


@attrs.frozen
class Client:
    """The actions of a hostile client on one TCP connection."""

    writes: Sequence[bytes]
    reads: bool
    """Whether it reads while it writes. Only then does it know its session id."""
    ending: Ending


# Packets.

names = st.sampled_from(["lobby", "den", "ada", "mallory", "", "x" * 200, "\ud800", 7, None])
payloads = st.fixed_dictionaries(
    {},
    optional={
        "room_id": names,
        "to_user_id": names,
        "content": st.sampled_from(["hello", "", "x" * 5000, "\ud83d", "\0", 1]),
        "client_message_id": names,
        "seq": st.sampled_from([1, -1, 2**70, 1.5]),
        "positions": st.lists(st.fixed_dictionaries({"target": st.none(), "seq": st.just(1)})),
        "epoch": names,
        "limit": st.integers(-1, 300),
        "cursor": names,
        "token": st.sampled_from(["nonsense", token("mallory"), token("ada")]),
    },
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def _event(name: str, payload: object, ack: str, number: int) -> bytes:
    return f"42{ack}{json.dumps([name, *[payload] * number])}".encode()


events = st.builds(
    _event,
    st.sampled_from([*COMMANDS, "connect", "disconnect", "nonsense"]),
    payloads,
    st.sampled_from(["", "1", "7", "00", "9" * 30, "-1"]),
    st.sampled_from([1, 1, 1, 1, 0, 2]),
)
connect = b'40{"token":"%s"}' % token("mallory").encode()
odd = st.sampled_from(
    [
        b"",
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
        b"5",
        b"6",
        b"7",
        b"2probe",
        b"3probe",
        b"40",
        b"40/admin,",
        b"41",
        b"41/admin,",
        b'43["ok"]',
        b'437["ok"]',
        b'44{"message":"no"}',
        b"45",
        b'451-["join_room",{"_placeholder":true,"num":0}]',
        b'453-7["join_room",{"_placeholder":true,"num":0}]',
        b"45999999999-[]",
        b"461-[]",
        b"bAAAA",
        b"b====",
        b"42" + b"[" * 3000,
        b'42["join_room",NaN]',
        b"\xff\xfe",
        b"4\x1e4",
    ]
)
packets = st.one_of(events, events, st.just(connect), odd)
conversations = st.lists(packets, max_size=8).flatmap(
    lambda drawn: st.sampled_from([[connect, *drawn], drawn])
)


# WebSocket frames (RFC 6455, section 5.2).


def frame(payload: bytes, opcode: int, flags: int, is_masked: bool, length_error: int) -> bytes:
    """Return a frame whose declared length is wrong by `length_error`."""
    length = max(0, len(payload) + length_error)
    mask_bit = 0x80 if is_masked else 0
    if length < 126:
        head = struct.pack("!BB", flags | opcode, mask_bit | length)
    elif length < 65_536:
        head = struct.pack("!BBH", flags | opcode, mask_bit | 126, length)
    else:
        head = struct.pack("!BBQ", flags | opcode, mask_bit | 127, length)
    # A mask of zeros leaves the payload as it is.
    return head + (b"\0\0\0\0" if is_masked else b"") + payload


def _mostly(usual: object, *others: object) -> st.SearchStrategy[object]:
    return st.sampled_from([usual] * 12 + list(others))


frames = st.builds(
    frame,
    packets,
    _mostly(0x1, 0x0, 0x2, 0x3, 0x8, 0x9, 0xA, 0xF),
    _mostly(0x80, 0x00, 0xC0, 0xF0),
    _mostly(True, False),
    _mostly(0, 1, -1, 100, 70_000, 2**40),
)
greeting = frame(connect, 0x1, 0x80, is_masked=True, length_error=0)


def _upgrade(query: bytes, version: bytes) -> bytes:
    return (
        b"GET /socket.io/?" + query + b" HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: " + version + b"\r\n\r\n"
    )


queries = _mostly(
    b"EIO=4&transport=websocket",
    b"EIO=3&transport=websocket",
    b"EIO=4&transport=polling",
    b"EIO=4&transport=websocket&sid=nobody",
    b"transport=websocket",
    b"EIO=4&EIO=4&transport=websocket&transport=x",
    b"",
)
upgrades = st.builds(_upgrade, queries, _mostly(b"13", b"8", b"x"))


# Polling requests.


def _request(method: bytes, query: bytes, body: bytes, length_error: int, headers: bytes) -> bytes:
    length = b"" if method == b"GET" and not body else b"%d" % max(0, len(body) + length_error)
    length_header = b"Content-Length: " + length + b"\r\n" if length else b""
    head = method + b" /socket.io/?" + query + b" HTTP/1.1\r\nHost: chat\r\n" + headers
    return head + length_header + b"\r\n" + body


polling = b"EIO=4&transport=polling"
handshake = _request(b"GET", polling, b"", 0, b"")
bodies = st.builds(
    lambda separator, drawn: separator.join(drawn),
    _mostly(b"\x1e", b"\n", b"", b"\x1e\x1e"),
    conversations,
)
posts = st.builds(
    _request,
    _mostly(b"POST", b"PUT", b"OPTIONS", b"DELETE", b"HEAD"),
    _mostly(polling + b"&sid=" + SID, polling, polling + b"&sid=nobody", b"sid=" + SID, b""),
    bodies,
    _mostly(0, 5, -5, 10**9),
    _mostly(b"", b"Origin: http://elsewhere\r\n", b"Transfer-Encoding: chunked\r\n"),
)
polls = st.builds(
    _request,
    st.just(b"GET"),
    _mostly(
        polling + b"&sid=" + SID,
        b"EIO=4&transport=websocket&sid=" + SID,
        polling + b"&j=0&sid=" + SID,
        polling + b"&j=x&sid=" + SID,
        polling + b"&sid=" + SID + b"&sid=nobody",
    ),
    st.just(b""),
    st.just(0),
    _mostly(b"", b"Upgrade: websocket\r\n", b"Accept-Encoding: gzip\r\n"),
)


# Clients.


@attrs.frozen
class Mutation:
    """A change to the traffic of a client."""

    what: Literal["flip", "cut", "repeat", "swap"]
    where: int
    by: int

    def apply(self, writes: list[bytes]) -> list[bytes]:
        at = self.where % len(writes)
        match self.what:
            case "flip" if writes[at]:
                changed = bytearray(writes[at])
                changed[self.by % len(changed)] ^= 1 << self.by % 8
                writes[at] = bytes(changed)
            case "cut" if writes[at]:
                writes[at] = writes[at][: self.by % len(writes[at])]
            case "repeat":
                writes.insert(at, writes[at])
            case "swap":
                other = self.by % len(writes)
                writes[at], writes[other] = writes[other], writes[at]
        return writes


def _client(writes: list[bytes], mutations: list[Mutation], reads: bool, ending: Ending) -> Client:
    for mutation in mutations:
        writes = mutation.apply(writes)
    return Client(writes, reads, ending)


whole = st.integers(0, 2**16)
mutations = st.lists(
    st.builds(Mutation, st.sampled_from(["flip", "cut", "repeat", "swap"]), whole, whole),
    max_size=3,
)
websocket_writes = st.builds(
    lambda upgrade, known, drawn: [upgrade, *([greeting] if known else []), *drawn],
    upgrades,
    st.booleans(),
    st.lists(frames, max_size=12),
)
polling_writes = st.builds(
    lambda drawn: [handshake, *drawn], st.lists(posts | polls | upgrades | frames, max_size=8)
)
clients = st.builds(
    _client,
    websocket_writes | polling_writes,
    mutations,
    _mostly(True, False),
    st.sampled_from(["close", "reset", "half close"]),
)


async def run(url: str, client: Client) -> None:
    """Perform a client's actions, whatever the server replies."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    if client.ending == "reset":
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    received = bytearray()
    reading = asyncio.create_task(_read(reader, received)) if client.reads else None
    try:
        for write in client.writes:
            if reading is not None and SID in write:
                await asyncio.wait([reading], timeout=PATIENCE_SECONDS / 5)
            found = _SID.search(received)
            writer.write(write.replace(SID, found.group(1)) if found else write)
            await writer.drain()
        if client.ending == "half close":
            writer.write_eof()
        if reading is not None:
            await asyncio.wait([reading], timeout=PATIENCE_SECONDS)
    except OSError:
        pass  # the server closed the connection, as it may
    finally:
        if reading is not None:
            reading.cancel()
        writer.close()


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    try:
        while data := await reader.read(65_536):
            received += data
    except ConnectionError:
        return
