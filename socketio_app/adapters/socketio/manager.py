"""Which Engine.IO connection each Socket.IO connection is on."""

import socketio


class SessionManager(socketio.AsyncManager):
    """python-socketio's manager without its rooms, which here are the chat's.

    There every connection is a room, and one that ends looks through all of them: with thousands
    of connections that is milliseconds for each.
    """

    def basic_enter_room(
        self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None
    ) -> None:
        """Note a connection, once."""
        if room is None:
            super().basic_enter_room(sid, namespace, room, eio_sid)

    def basic_disconnect(self, sid: str, namespace: str, **_options: object) -> None:
        """Forget a connection."""
        self.basic_leave_room(sid, namespace, None)
        # python-socketio has the first from 5.18 on.
        for pending in (getattr(self, "pending_connect", {}), self.pending_disconnect):
            if sid in pending.get(namespace, ()):
                pending[namespace].remove(sid)
                if not pending[namespace]:
                    del pending[namespace]
