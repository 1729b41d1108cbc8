"""Strict decoding of base64url and JSON.

Input that two parsers may decode differently can bypass one of them (RFC 8725, section 2.4).
"""

import json
import re
from binascii import a2b_base64
from typing import Any, Final, NoReturn


class NotStrictError(ValueError):
    """The input is malformed or ambiguous. The error holds none of it."""


def octets(text: str) -> bytes:
    """Decode base64url that is unpadded (RFC 7515, section 2), canonical and not empty.

    Raises:
        NotStrictError: the text is not.
    """
    if not text or not _BASE64URL.fullmatch(text):
        raise NotStrictError
    standard = text.replace("-", "+").replace("_", "/")
    return a2b_base64(standard + "=" * (-len(text) % 4))


# Python ignores the unused bits of the last character: a signature would have several encodings.
_BASE64URL: Final = re.compile(
    r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?"
)


def json_object(encoded: bytes) -> dict[str, Any]:
    """Decode a JSON object in UTF-8 without duplicate names, `NaN` or `Infinity`.

    Raises:
        NotStrictError: the input is not one.
    """
    try:
        value = _DECODER.decode(encoded.decode("utf-8"))
    except Exception:  # noqa: BLE001  (untrusted input: nested too deeply, a number too long)
        raise NotStrictError from None
    if not isinstance(value, dict):
        raise NotStrictError
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError
    return found


def _reject(_constant: str) -> NoReturn:
    raise NotStrictError


# `json.loads` would create a decoder for each call, which takes as long as the decoding.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_reject)
