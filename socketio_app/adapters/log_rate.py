"""The rate of log lines that any client can cause."""

from typing import Final

from socketio_app.domain.rates import Rate

LINE_RATE: Final = Rate(per_second=0.1, burst=1)
"""Maximum rate of the same line about the same client."""
