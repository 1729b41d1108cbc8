"""Access to conversations."""

from socketio_app.application.ports import RoomRepository
from socketio_app.domain.conversations import Conversation, Room, Target, conversation_of
from socketio_app.domain.errors import NotAMember
from socketio_app.domain.identifiers import UserId


async def conversation_for(rooms: RoomRepository, user_id: UserId, target: Target) -> Conversation:
    """Return the conversation that a target refers to, if the user has access to it.

    Raises:
        NotAMember: the target is a room that the user is not in.
    """
    if isinstance(target, Room) and not await rooms.is_member(target.room_id, user_id):
        raise NotAMember(f"you are not in room {target.room_id}")
    return conversation_of(user_id, target)
