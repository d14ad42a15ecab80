"""Where a count lives that one process keeps and others read, at no cost for either."""

import mmap
import struct
import threading
from pathlib import Path

_NUMBER = struct.Struct("<q")


class Tally:
    """A number in a file that all processes map; one of them adds to it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_NUMBER.pack(0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)
        self._value = self.value
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        """The count so far."""
        (value,) = _NUMBER.unpack_from(self._map)
        return int(value)

    def add(self) -> None:
        """Count one more; from any thread, as some rivals end their jobs on several."""
        with self._lock:
            self._value += 1
            _NUMBER.pack_into(self._map, 0, self._value)
