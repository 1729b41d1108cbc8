"""Base64url and JSON with one reading only.

What two readers can read in two ways is a way around one of them (RFC 8725, section 2.4).
"""

import base64
import json
from typing import Any, NoReturn


class NotStrictError(ValueError):
    """It is malformed, or ambiguous. Says nothing of what was read."""


def octets(text: str) -> bytes:
    """What some base64url stands for: unpadded (RFC 7515, section 2), canonical, and not nothing.

    Raises:
        NotStrictError: it is not that.
    """
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise NotStrictError from None
    # Python ignores the unused bits of the last character, and `+` and `/` mean to it what `-` and
    # `_` do: a signature would have several spellings.
    if not decoded or base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise NotStrictError
    return decoded


def json_object(encoded: bytes) -> dict[str, Any]:
    """The JSON object in some UTF-8: no doubled names, no `NaN` or `Infinity`.

    Raises:
        NotStrictError: there is none, or it is not strict.
    """
    try:
        value = json.loads(
            encoded.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refused
        )
    except Exception:  # noqa: BLE001  (a stranger's text: too deep, too long a number, what not)
        raise NotStrictError from None
    if not isinstance(value, dict):
        raise NotStrictError
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError
    return found


def _refused(_constant: str) -> NoReturn:
    raise NotStrictError
