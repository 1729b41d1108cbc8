"""Memberships compared with a model, which is a list of pairs."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socketio_app.domain.errors import InvalidPayload
from socketio_app.domain.identifiers import RoomId, UserId
from socketio_app.domain.rooms import Joined, Left, Memberships

USERS = [UserId(name) for name in ("ada", "bob", "eve")]
ROOMS = [RoomId(name) for name in ("lobby", "den", "attic", "ada")]
ROOMS_PER_USER = 3

users, rooms = st.sampled_from(USERS), st.sampled_from(ROOMS)


class RoomsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.memberships = Memberships(ROOMS_PER_USER)
        self.pairs: list[tuple[RoomId, UserId]] = []

    def members(self, room: RoomId) -> int:
        return sum(1 for each, _ in self.pairs if each == room)

    def rooms_of(self, user: UserId) -> list[RoomId]:
        return [room for room, each in self.pairs if each == user]

    @rule(room=rooms, user=users)
    def join(self, room: RoomId, user: UserId) -> None:
        was_member = (room, user) in self.pairs
        if not was_member and len(self.rooms_of(user)) == ROOMS_PER_USER:
            with pytest.raises(InvalidPayload):
                self.memberships.join(room, user)
            return
        if not was_member:
            self.pairs.append((room, user))

        assert self.memberships.join(room, user) == Joined(not was_member, self.members(room))

    @rule(room=rooms, user=users)
    def leave(self, room: RoomId, user: UserId) -> None:
        was_member = (room, user) in self.pairs
        if was_member:
            self.pairs.remove((room, user))

        assert self.memberships.leave(room, user) == Left(was_member, self.members(room))

    @invariant()
    def memberships_match_model(self) -> None:
        for room in ROOMS:
            assert self.memberships.member_count(room) == self.members(room)
            for user in USERS:
                assert self.memberships.is_member(room, user) == ((room, user) in self.pairs)
        for user in USERS:
            assert list(self.memberships.rooms_of(user)) == self.rooms_of(user)

    @invariant()
    def no_state_is_kept_for_empty_rooms_and_former_members(self) -> None:
        assert set(self.memberships._members) == {room for room, _ in self.pairs}
        assert set(self.memberships._rooms) == {user for _, user in self.pairs}


TestRooms = RoomsMachine.TestCase
