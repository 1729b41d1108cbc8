"""Running commands in this process, and reading the tokens that they print."""

import asyncio
from datetime import datetime, timedelta

import pytest

from socketio_app.adapters.system import SystemClock
from socketio_app.application.ports import Identity
from socketio_app.entrypoints.cli import main
from socketio_app.entrypoints.settings import Settings
from socketio_app.entrypoints.verifiers import jwt_verifier


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that fails with status 2; return its error, which is one line on stderr."""
    status = main(arguments)
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    return printed.err.removeprefix("socketio-app: ")


def identity_of(token: str, settings: Settings) -> Identity:
    """Return the identity that a server with these settings reads from a token."""
    return asyncio.run(jwt_verifier(settings, SystemClock()).verify(token))


def hours_from_now(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - SystemClock().now()) / timedelta(hours=1)
