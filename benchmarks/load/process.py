"""What a server's process, and those that it started, use of the machine."""

import psutil


class ServerProcess:
    """A server that is already there."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._resident_at_first = self._resident_bytes()

    def cpu_seconds(self) -> float:
        """User's and system's time since it started, in steps of ten milliseconds."""
        times = [process.cpu_times() for process in self._all()]
        return sum(each.user + each.system for each in times)

    def grown_bytes(self) -> int:
        """How much more memory is resident than when this was made."""
        return self._resident_bytes() - self._resident_at_first

    def _resident_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]
