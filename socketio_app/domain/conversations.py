"""Where messages go: a command's target, and the conversation that the target stands for.

A client never names a conversation by an id of its own. It names a target, a room or another
person, and the conversation follows from who is speaking.
"""

from functools import lru_cache
from typing import Self

import attrs

from socketio_app.domain.identifiers import RoomId, UserId, check_room_id, check_user_id


@attrs.frozen(cache_hash=True)
class Room:
    """A room, as a target and as the conversation that its members share."""

    room_id: RoomId = attrs.field(validator=check_room_id)

    def recipient(self, _sender: UserId) -> None:
        """Nobody in particular."""


@attrs.frozen(cache_hash=True)
class Person:
    """Another user (or oneself), as a target."""

    to_user_id: UserId = attrs.field(validator=check_user_id)


Target = Room | Person


@attrs.frozen(cache_hash=True)
class Pair:
    """The conversation of two users; of one, when somebody writes to themselves.

    Made by `Pair.of`, so that both see the same value.
    """

    first: UserId
    second: UserId

    @classmethod
    def of(cls, one: UserId, other: UserId) -> Self:
        """The pair of two users, whichever is named first."""
        return cls(one, other) if one <= other else cls(other, one)

    def other(self, user: UserId) -> UserId:
        """Whom `user` talks to here."""
        return self.second if user == self.first else self.first

    recipient = other
    """Whom a message of `user` is for."""


Conversation = Room | Pair


def conversation_of(speaker: UserId, target: Target) -> Conversation:
    """The conversation that `target` means when `speaker` names it."""
    return target if isinstance(target, Room) else _pair(speaker, target)


# Who talks, goes on talking: one value for many messages is made, hashed and compared once.
@lru_cache(maxsize=8192)
def _pair(speaker: UserId, other: Person) -> Pair:
    return Pair.of(speaker, other.to_user_id)
