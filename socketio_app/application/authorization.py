"""Who may take part in which conversation."""

from socketio_app.application.ports import RoomRepository
from socketio_app.domain.conversations import Conversation, Room, Target, conversation_of
from socketio_app.domain.errors import NotAMember
from socketio_app.domain.identifiers import UserId


async def conversation_for(rooms: RoomRepository, user_id: UserId, target: Target) -> Conversation:
    """The conversation that a target is for a user.

    Raises:
        NotAMember: it is a room that they are not in.
    """
    if isinstance(target, Room) and not await rooms.is_member(target.room_id, user_id):
        raise NotAMember(f"you are not in room {target.room_id}")
    return conversation_of(user_id, target)
