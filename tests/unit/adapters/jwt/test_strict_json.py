"""Strict decoding of base64url and JSON."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_app.adapters.jwt.strict_json import NotStrictError, json_object, octets
from tests.unit.adapters.jwt.forging import base64url


@given(st.binary(min_size=1))
def test_unpadded_base64url_is_decoded(written: bytes) -> None:
    assert octets(base64url(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("A", id="six bits"),
        pytest.param("QQ==", id="padding"),
        pytest.param("QQ\n", id="a newline"),
        pytest.param(" QQ", id="a space"),
        pytest.param("-_+/", id="the other alphabet"),
        pytest.param("Q.Q", id="a dot"),
        pytest.param("QÄ", id="not ASCII"),
    ],
)
def test_any_other_text_is_rejected(text: str) -> None:
    with pytest.raises(NotStrictError):
        octets(text)


@pytest.mark.parametrize("text", ["QR", "QQR"])
def test_second_encoding_of_the_same_octets_is_rejected(text: str) -> None:
    assert base64.urlsafe_b64decode(text + "==") in {b"A", b"A\x04"}

    with pytest.raises(NotStrictError):
        octets(text)


def test_json_object_is_decoded() -> None:
    assert json_object(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'"a"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{'a': 1}", id="not JSON"),
        pytest.param(b"{} {}", id="two objects"),
        pytest.param(b"\xff{}", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="Infinity"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="a number that is too long"),
        pytest.param(b'{"a":' * 5000, id="an object nested too deeply"),
        pytest.param(b"[" * 6000, id="an array nested too deeply"),
    ],
)
def test_input_that_is_not_a_json_object_is_rejected(text: bytes) -> None:
    with pytest.raises(NotStrictError):
        json_object(text)


@pytest.mark.parametrize(
    "text", [b'{"a": 1, "a": 1}', b'{"a": {"b": 1, "b": 2}}', b'{"a": 1, "\\u0061": 2}']
)
def test_duplicate_name_is_rejected(text: bytes) -> None:
    with pytest.raises(NotStrictError):
        json_object(text)
