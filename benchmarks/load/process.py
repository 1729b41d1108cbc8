"""Resource use of a server's process and its children."""

import psutil


class ServerProcess:
    """A running server."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._resident_at_first = self._resident_bytes()

    def cpu_seconds(self) -> float:
        """Return the user and system time since it started, in steps of ten milliseconds."""
        times = [process.cpu_times() for process in self._all()]
        return sum(each.user + each.system for each in times)

    def grown_bytes(self) -> int:
        """Return the growth of resident memory since this object was created."""
        return self._resident_bytes() - self._resident_at_first

    def _resident_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]
