"""The smallest chat with python-socketio: what a user would write in an afternoon.

It has no validation, no store, no guaranteed order and no retries.
"""

import os
import uuid
from typing import Any

import socketio
import uvicorn
from jose import jwt

SECRET = os.environ["SECRET_KEY"]

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")


@sio.event
async def connect(sid: str, _environ: dict[str, Any], auth: dict[str, Any]) -> None:
    """Accept a client with a valid token."""
    user_id = jwt.decode(auth["token"], SECRET, algorithms=["HS256"])["sub"]
    await sio.save_session(sid, {"user_id": user_id})
    await sio.enter_room(sid, f"user:{user_id}")
    await sio.emit("connected", {"user_id": user_id}, to=sid)


@sio.event
async def join_room(sid: str, data: dict[str, Any]) -> dict[str, Any]:
    """Join, and announce it to the room."""
    session = await sio.get_session(sid)
    joined = {"room_id": data["room_id"], "user_id": session["user_id"]}
    await sio.enter_room(sid, data["room_id"])
    await sio.emit("user_joined", joined, room=data["room_id"], skip_sid=sid)
    return {"ok": True}


@sio.event
async def send_group_message(sid: str, data: dict[str, Any]) -> None:
    """Send to the room, and then confirm delivery to the sender."""
    session = await sio.get_session(sid)
    message = {
        "message_id": str(uuid.uuid4()),
        "room_id": data["room_id"],
        "from_user_id": session["user_id"],
        "content": data["content"],
    }
    await sio.emit("receive_group_message", message, room=data["room_id"], skip_sid=sid)
    delivered = {"message_id": message["message_id"], "room_id": data["room_id"]}
    await sio.emit("group_message_delivered", delivered, to=sid)


@sio.event
async def send_personal_message(sid: str, data: dict[str, Any]) -> None:
    """Send to the recipient, and then confirm delivery to the sender."""
    session = await sio.get_session(sid)
    message = {
        "message_id": str(uuid.uuid4()),
        "to_user_id": data["to_user_id"],
        "from_user_id": session["user_id"],
        "content": data["content"],
    }
    await sio.emit("receive_personal_message", message, room=f"user:{data['to_user_id']}")
    delivered = {"message_id": message["message_id"], "to_user_id": data["to_user_id"]}
    await sio.emit("personal_message_delivered", delivered, to=sid)


if __name__ == "__main__":
    app = socketio.ASGIApp(sio)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
