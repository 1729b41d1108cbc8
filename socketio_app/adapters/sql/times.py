"""Times in rows: milliseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Return the milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(since_1970_ms: int) -> datetime:
    """Return the UTC `datetime` of milliseconds since 1970."""
    return _EPOCH + since_1970_ms * _MILLISECOND
