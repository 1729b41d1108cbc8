"""The rates of log lines that clients, or functions of the host application, can cause."""

from typing import Final

from socketio_app.domain.rates import Rate

LINE_RATE: Final = Rate(per_second=0.1, burst=1)
"""Maximum rate of the same line about the same client."""

WARNING_RATE: Final = Rate(per_second=1, burst=60)
"""Maximum rate of warnings of one kind: there may be more than an operator can read."""
