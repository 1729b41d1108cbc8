"""The chat without delivery confirmation, which no setting turns off.

No message waits for the confirmation of a client, no delivery is stored, and no sender is notified:
the methods that do so are replaced before the chat is created. Calling them still costs a little.
"""

import sys
from typing import Any

from socketio_app.adapters.engineio.client_session import ClientSession
from socketio_app.application.delivery import Delivery
from socketio_app.entrypoints.cli import main


def nothing(*_arguments: Any) -> None:
    """Do nothing."""


def remove_confirmation() -> None:
    """Remove the confirmation of delivery from the classes of the chat.

    Raises:
        AttributeError: a class has no such method any more.
    """
    for owner, name in (
        (ClientSession, "expect"),
        (Delivery, "hold_receipt"),
        (Delivery, "release_receipt"),
        (Delivery, "written_to_room"),
    ):
        getattr(owner, name)
        setattr(owner, name, nothing)


if __name__ == "__main__":
    remove_confirmation()
    sys.exit(main(["serve"]))
