"""Where tests get two Nexus nodes on one database, each with a data folder of its own."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from live_nexus import LiveNexus, live_nexus
from nexus.keys import load_keys
from nexus.store.database import prepare_data_dir


@contextlib.asynccontextmanager
async def two_nodes(
    folder: Path, url: str, **options: Any
) -> AsyncIterator[tuple[LiveNexus, LiveNexus]]:
    """Serve on two ports until the block ends; both nodes have the same keys."""
    first, second = folder / "a", folder / "b"
    prepare_data_dir(first)
    load_keys(first)
    shutil.copytree(first, second)
    async with (
        live_nexus(first, database_url=url, **options) as a,
        live_nexus(second, database_url=url, **options) as b,
    ):
        yield a, b
