"""The minimum cost of a delivery in Python: one frame, encoded once, written to each member.

It checks no tokens and no payloads; its cost is that of WebSocket, the event loop and the kernel.
"""

import asyncio
import base64
import json
import os
from collections import defaultdict
from typing import Any

import picows
import uvloop

OPENED = b'0{"sid":"0","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}'
MESSAGE_ID = "0" * 36

rooms: defaultdict[str, list[asyncio.Transport]] = defaultdict(list)
users: dict[str, asyncio.Transport] = {}


def frame(payload: bytes) -> bytes:
    """A server's text frame of less than 64 KiB."""
    size = len(payload)
    head = bytes([0x81, size]) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + payload


def event(name: str, payload: dict[str, Any]) -> bytes:
    """A frame with an event."""
    return frame(b"42" + json.dumps([name, payload]).encode())


class Connection(picows.WSListener):
    """The connection of one client."""

    user_id = ""
    transport: asyncio.Transport

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Send the Engine.IO handshake."""
        self.transport = transport.underlying_transport
        self.transport.write(frame(OPENED))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Handle a packet."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
            return
        packet = frame.get_payload_as_bytes()
        if packet.startswith(b"40"):
            self._connect(json.loads(packet[2:])["token"])
        elif packet.startswith(b"4"):
            number, bracket, arguments = packet[2:].partition(b"[")
            name, payload = json.loads(bracket + arguments)
            getattr(self, name)(payload, number)

    def _connect(self, token: str) -> None:
        claims = token.split(".")[1]
        self.user_id = json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"]
        users[self.user_id] = self.transport
        self.transport.write(frame(b'40{"sid":"0"}'))

    def join_room(self, payload: dict[str, Any], number: bytes) -> None:
        """Join without an announcement."""
        rooms[payload["room_id"]].append(self.transport)
        self.transport.write(frame(b"43" + number + b'[{"ok":true}]'))

    def send_group_message(self, payload: dict[str, Any], _number: bytes) -> None:
        """Write to all members of the room."""
        told = {"message_id": MESSAGE_ID, "from_user_id": self.user_id, **payload}
        message = event("receive_group_message", told)
        for transport in rooms[payload["room_id"]]:
            if transport is not self.transport:
                transport.write(message)
        self.transport.write(event("group_message_delivered", {"message_id": MESSAGE_ID}))

    def send_personal_message(self, payload: dict[str, Any], _number: bytes) -> None:
        """Write to the recipient."""
        told = {"message_id": MESSAGE_ID, "from_user_id": self.user_id, **payload}
        users[payload["to_user_id"]].write(event("receive_personal_message", told))
        self.transport.write(event("personal_message_delivered", {"message_id": MESSAGE_ID}))


async def main() -> None:
    """Serve until the process is stopped."""
    server = await picows.ws_create_server(
        lambda _request: Connection(),
        "127.0.0.1",
        int(os.environ["PORT"]),
        use_aiofastnet=False,  # uvloop's transports combine the writes of one iteration
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
