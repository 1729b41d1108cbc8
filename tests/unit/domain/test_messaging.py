"""Messages, their content and their order."""

import pytest

from socketio_app.domain.conversations import Pair, Room
from socketio_app.domain.errors import ContentTooLong, InvalidPayload
from socketio_app.domain.identifiers import RoomId
from socketio_app.domain.messaging import Message, check_content
from socketio_app.domain.transcript import Transcript
from tests.builders import ADA, BOB, draft

LOBBY = Room(RoomId("lobby"))


@pytest.mark.parametrize("content", ["x", "x" * 10, "😀" * 10, " x ", "\nx", "\0", "\u200b", "0"])
def test_non_blank_content_up_to_limit_is_accepted(content: str) -> None:
    check_content(content, limit=10)


@pytest.mark.parametrize("content", ["x" * 11, "😀" * 11, " " * 11])
def test_content_over_limit_is_too_long(content: str) -> None:
    with pytest.raises(ContentTooLong, match="content has 11 characters, at most 10 are allowed"):
        check_content(content, limit=10)


@pytest.mark.parametrize("content", ["", " ", "\t\r\n", "\u2003", "\u3000"])
def test_blank_content_is_rejected(content: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        check_content(content, limit=10)

    assert rejected.value.field == "content"


@pytest.mark.parametrize("content", ["\ud800", "hello \udfff", "\ud83d\ude00"])
def test_lone_surrogates_are_rejected(content: str) -> None:
    with pytest.raises(InvalidPayload) as rejected:
        check_content(content, limit=10)

    assert rejected.value.field == "content"


def test_message_has_fields_of_draft() -> None:
    given = draft(LOBBY, ADA, " hello\n", client_message_id="m1")

    assert given.at(7) == Message(
        given.message_id,
        LOBBY,
        7,
        ADA,
        None,
        " hello\n",
        given.created_at,
        given.client_message_id,
    )


def test_recipient_in_pair_is_other_user() -> None:
    pair = Pair.of(ADA, BOB)

    assert pair.recipient(ADA) == BOB
    assert pair.recipient(BOB) == ADA


def test_recipient_of_message_to_self_is_self() -> None:
    assert Pair.of(ADA, ADA).recipient(ADA) == ADA


def test_room_message_has_no_recipient() -> None:
    assert draft(LOBBY).at(1).to_user_id is None


class TestTranscript:
    def test_seq_starts_at_one_without_gaps(self) -> None:
        transcript = Transcript()
        assert transcript.last_seq == 0

        seqs = [transcript.append(draft()).message.seq for _ in range(3)]

        assert seqs == [1, 2, 3]
        assert transcript.last_seq == 3

    def test_stored_message_equals_draft(self) -> None:
        given = draft(client_message_id="m1")

        stored = Transcript().append(given)

        assert stored.message == given.at(1)
        assert not stored.duplicate

    def test_repeated_client_message_id_is_duplicate(self) -> None:
        transcript = Transcript()
        first = transcript.append(draft(content="first", client_message_id="m1"))

        retry = transcript.append(draft(content="second", client_message_id="m1"))

        assert retry.duplicate
        assert retry.message == first.message
        assert transcript.last_seq == 1
        assert list(transcript.after(0)) == [first.message]

    def test_old_client_message_id_is_remembered(self) -> None:
        transcript = Transcript()
        first, *_ = [transcript.append(draft(client_message_id=f"m{n}")) for n in range(100)]

        assert transcript.append(draft(client_message_id="m0")).message == first.message

    def test_client_message_id_is_per_sender(self) -> None:
        transcript = Transcript()
        transcript.append(draft(from_user_id=ADA, client_message_id="m1"))

        assert not transcript.append(draft(from_user_id=BOB, client_message_id="m1")).duplicate

    def test_draft_without_client_message_id_is_never_duplicate(self) -> None:
        transcript = Transcript()
        transcript.append(draft(content="the same"))

        assert not transcript.append(draft(content="the same")).duplicate

    def test_after_returns_messages_beyond_seq(self) -> None:
        transcript = Transcript()
        messages = [transcript.append(draft()).message for _ in range(3)]

        assert [list(transcript.after(seq)) for seq in range(5)] == [
            messages,
            messages[1:],
            messages[2:],
            [],
            [],
        ]

    def test_only_oldest_message_is_dropped(self) -> None:
        transcript = Transcript()
        messages = [transcript.append(draft()).message for _ in range(3)]

        transcript.drop_oldest()

        assert list(transcript.after(0)) == messages[1:]

    def test_client_message_id_of_dropped_message_is_forgotten(self) -> None:
        transcript = Transcript()
        transcript.append(draft(client_message_id="m1"))
        transcript.append(draft(client_message_id="m2"))

        transcript.drop_oldest()

        assert transcript.append(draft(client_message_id="m2")).duplicate
        assert not transcript.append(draft(client_message_id="m1")).duplicate

    def test_seq_is_not_reused_after_dropping_all_messages(self) -> None:
        transcript = Transcript()
        transcript.append(draft())
        transcript.append(draft(client_message_id="m1"))
        transcript.drop_oldest()
        transcript.drop_oldest()

        assert transcript.last_seq == 2
        assert transcript.append(draft()).message.seq == 3

    def test_dropping_from_empty_transcript_raises(self) -> None:
        with pytest.raises(IndexError):
            Transcript().drop_oldest()
