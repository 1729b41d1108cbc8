"""How often the log repeats what strangers can cause at will."""

from typing import Final

from socketio_app.domain.rates import Rate

LINE_RATE: Final = Rate(per_second=0.1, burst=1)
"""Rate of the same line about the same stranger."""
