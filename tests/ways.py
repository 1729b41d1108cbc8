"""A way to a client that keeps what is written to it."""

import attrs


@attrs.define
class KeptWay:
    """Implements `Way`."""

    frames: list[bytes] = attrs.field(factory=list)
    is_slow: bool = False
    """Whether its client is slow to read."""
    ended: str | None = None
    """Why it was ended, if it was."""

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def write_passing(self, frame: bytes) -> None:
        if not self.is_slow:
            self.frames.append(frame)

    def dismiss(self, reason: str, goodbye: bytes | None) -> None:
        if goodbye is not None:
            self.frames.append(goodbye)
        self.ended = reason
