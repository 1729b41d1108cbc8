"""Targets of commands, and the conversations they refer to.

Conversations have no ids of their own. A client names a target, which is a room or another user;
the conversation follows from the target and the sender.
"""

from functools import lru_cache
from typing import Self

import attrs

from socketio_app.domain.identifiers import (
    RoomId,
    UserId,
    as_room_id,
    as_user_id,
    check_room_id,
    check_user_id,
)
from socketio_app.domain.values import Value


@attrs.frozen(cache_hash=True)
class Room:
    """A room, both as a target and as the conversation of its members."""

    room_id: RoomId = attrs.field(converter=as_room_id, validator=check_room_id)

    def recipient(self, _sender: UserId) -> None:
        """Return `None`: a room's messages have no single recipient."""


@attrs.frozen(cache_hash=True)
class Person:
    """A user as a target, possibly the sender themselves."""

    to_user_id: UserId = attrs.field(converter=as_user_id, validator=check_user_id)


Target = Room | Person


class Pair(Value, frozen=True):
    """The conversation of two users, or of one user with themselves.

    Use `Pair.of`, which returns equal values whichever user comes first.
    """

    first: UserId
    second: UserId

    @classmethod
    def of(cls, one: UserId, other: UserId) -> Self:
        """Return the pair of two users, in either order."""
        return cls(one, other) if one <= other else cls(other, one)

    def other(self, user: UserId) -> UserId:
        """Return the other user of the pair."""
        return self.second if user == self.first else self.first

    recipient = other
    """The recipient of a message from `user`."""


Conversation = Room | Pair


def conversation_of(speaker: UserId, target: Target) -> Conversation:
    """Return the conversation that `target` refers to when `speaker` sends to it."""
    return target if isinstance(target, Room) else pair_of(speaker, target.to_user_id)


@lru_cache(maxsize=8192)
def pair_of(one: UserId, other: UserId) -> Pair:
    """Return the pair of two users, in either order. Most are asked for more than once."""
    return Pair.of(one, other)
