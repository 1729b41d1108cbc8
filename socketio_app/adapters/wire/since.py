"""The text that stands for a place in the activity of a store. Clients do not look into it."""

import re

from socketio_app.domain.activity import MAX_EPOCH_CHARS, CatchUpCursor
from socketio_app.domain.errors import InvalidPayload

_TEXT = re.compile(
    rf"([0-9a-zA-Z_-]{{1,{MAX_EPOCH_CHARS}}})\.([0-9]{{1,18}})(?:\.([0-9]{{1,18}})\.([0-9]{{1,18}}))?"
)


def since_text(since: CatchUpCursor | None) -> str | None:
    """Return the text for a client; `None` where there is no place."""
    if since is None:
        return None
    if since.is_first:
        return f"{since.epoch}.{since.activity}"
    return f"{since.epoch}.{since.activity}.{since.given}.{since.settled_activity}"


def parse_since(text: str) -> CatchUpCursor:
    """Return the place in a client's text.

    Raises:
        InvalidPayload: It is no text of ours.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidPayload("since must be from connected or an earlier answer", field="since")
    epoch, activity, given, settled_activity = found.groups()
    if given is None:
        return CatchUpCursor.at(epoch, int(activity))
    # A walk goes forward only, whatever the client has made of the text.
    place = int(activity)
    return CatchUpCursor(epoch, place, max(place, int(given)), max(place, int(settled_activity)))
