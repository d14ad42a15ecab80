"""A checkpointer of LangGraph that outlives its process: the one in memory, kept in a file."""

import pickle
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver


class FileSaver(InMemorySaver):
    """Writes all that it keeps after each change."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            storage, writes, blobs = pickle.loads(path.read_bytes())
            for thread, spaces in storage.items():
                for space, kept in spaces.items():
                    self.storage[thread][space].update(kept)
            for key, kept in writes.items():
                self.writes[key].update(kept)
            self.blobs.update(blobs)

    def put(self, *args: Any, **kwargs: Any) -> Any:
        config = super().put(*args, **kwargs)
        self._keep()
        return config

    def put_writes(self, *args: Any, **kwargs: Any) -> None:
        super().put_writes(*args, **kwargs)
        self._keep()

    def _keep(self) -> None:
        storage = {
            thread: {space: dict(kept) for space, kept in spaces.items()}
            for thread, spaces in self.storage.items()
        }
        writes = {key: dict(kept) for key, kept in self.writes.items()}
        part = self._path.with_suffix(".part")
        part.write_bytes(pickle.dumps((storage, writes, dict(self.blobs))))
        part.replace(self._path)
