"""The text form of a catch-up cursor, which clients treat as opaque."""

import re

from socketio_app.domain.activity import MAX_EPOCH_CHARS, CatchUpCursor
from socketio_app.domain.errors import InvalidPayload

_TEXT = re.compile(
    rf"([0-9a-zA-Z_-]{{1,{MAX_EPOCH_CHARS}}})\.([0-9]{{1,18}})(?:\.([0-9]{{1,18}})\.([0-9]{{1,18}}))?"
)


def since_text(since: CatchUpCursor | None) -> str | None:
    """Return the text of a cursor, `None` if there is no cursor."""
    if since is None:
        return None
    if since.is_first:
        return f"{since.epoch}.{since.activity}"
    return f"{since.epoch}.{since.activity}.{since.given}.{since.settled_activity}"


def parse_since(text: str) -> CatchUpCursor:
    """Return the cursor in a client's text.

    Raises:
        InvalidPayload: the text is not a cursor.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidPayload("since must come from connected or catch_up", field="since")
    epoch, activity, given, settled_activity = found.groups()
    if given is None:
        return CatchUpCursor.at(epoch, int(activity))
    # A catch-up only moves forward, even if the client has modified the text.
    start = int(activity)
    return CatchUpCursor(epoch, start, max(start, int(given)), max(start, int(settled_activity)))
