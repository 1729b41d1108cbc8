"""Messages of which nobody knows whether they were stored."""

import attrs

from socketio_app.domain.conversations import Conversation
from socketio_app.domain.identifiers import ClientMessageId, UserId
from socketio_app.domain.messaging import Draft

MOST_UNCERTAIN = 10_000
"""So many are remembered; clients send again within seconds."""

Key = tuple[Conversation, UserId, ClientMessageId]


@attrs.define
class Uncertain:
    """Those that a store could not say it has, and that nobody was told of.

    When their client sends them again and they turn out to be stored, they are yet to be told.
    """

    _keys: dict[Key, None] = attrs.field(factory=dict, init=False)

    def note(self, draft: Draft) -> None:
        """Remember a message that its client can send again."""
        if draft.client_message_id is not None:
            self._keys[_key(draft, draft.client_message_id)] = None
            if len(self._keys) > MOST_UNCERTAIN:
                del self._keys[next(iter(self._keys))]

    def settle(self, draft: Draft) -> bool:
        """Whether the message is one of them; it is no more."""
        if draft.client_message_id is None or not self._keys:
            return False
        key = _key(draft, draft.client_message_id)
        if key not in self._keys:
            return False
        del self._keys[key]
        return True


def _key(draft: Draft, client_message_id: ClientMessageId) -> Key:
    return draft.conversation, draft.from_user_id, client_message_id
