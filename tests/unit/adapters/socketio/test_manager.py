"""The table of Socket.IO connections, with each python-socketio that is allowed."""

from socketio_app.adapters.socketio.manager import SessionManager


def table_with(eio_sid: str) -> tuple[SessionManager, str]:
    """Return a table with one connection, and the connection's id."""
    table = SessionManager()
    table.basic_enter_room("sid", "/", None, eio_sid=eio_sid)
    return table, "sid"


def test_a_disconnect_leaves_nothing_behind() -> None:
    table, sid = table_with("engine")
    table.pending_disconnect["/"] = [sid]

    table.basic_disconnect(sid, "/")

    assert "/" not in table.rooms
    assert table.pending_disconnect == {}


def test_a_disconnect_works_without_the_attributes_of_newer_versions() -> None:
    table, sid = table_with("engine")
    vars(table).pop("pending_connect", None)  # python-socketio has it from 5.18 on

    table.basic_disconnect(sid, "/")

    assert "/" not in table.rooms
