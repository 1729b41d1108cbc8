"""What happens at start-up where a dependency is not what this package was built on."""

import sys

import engineio
import pytest
import socketio
from engineio.async_socket import AsyncSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from socketio_app.adapters.socketio import compatibility
from socketio_app.adapters.socketio.compatibility import check_engine, websocket_protocol
from socketio_app.adapters.socketio.fast_protocol import FastProtocol


def test_with_what_is_locked_websockets_are_taken_over_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chosen = websocket_protocol()
    check_engine(socketio.AsyncServer, socketio.AsyncManager, engineio.AsyncServer, AsyncSocket)

    assert chosen is FastProtocol
    assert caplog.messages == []


def test_without_a_method_that_is_needed_uvicorns_own_protocol_serves_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(WebSocketsSansIOProtocol, "stop_keepalive")

    assert websocket_protocol() == "auto"

    assert "stop_keepalive is gone" in caplog.text


def test_a_method_with_other_arguments_counts_as_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(WebSocketsSansIOProtocol, "handle_connect", lambda self: None)

    assert websocket_protocol() == "auto"

    assert "handle_connect takes other arguments" in caplog.text


def test_an_attribute_that_is_no_longer_set_counts_as_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(WebSocketsSansIOProtocol, "__init__", lambda self: None)

    assert websocket_protocol() == "auto"

    assert "transport is gone" in caplog.text


def test_where_the_module_has_moved_uvicorns_own_protocol_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, compatibility.UVICORN, None)

    assert websocket_protocol() == "auto"

    assert compatibility.UVICORN in caplog.text


def test_an_engine_that_has_changed_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(AsyncSocket, "_upgrade_websocket")

    check_engine(socketio.AsyncServer, socketio.AsyncManager, engineio.AsyncServer, AsyncSocket)

    assert "_upgrade_websocket is gone" in caplog.text
