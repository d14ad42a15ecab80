"""Where a running Nexus notices that the keys which sign tokens were changed in its data folder."""

import asyncio
import logging
from pathlib import Path

from nexus.delivery import patiently
from nexus.keys import load_signing_keys, signing_keys_path
from nexus.services import installation
from nexus.services.platform import Platform
from nexus.services.signing import Keyring
from nexus.store import DataDirError

POLL_S = 1.0
_log = logging.getLogger("nexus.keys")


class KeyWatch:
    """Looks at the file once a second; one that cannot be read leaves the keys as they are."""

    def __init__(self, platform: Platform, data_dir: Path) -> None:
        self._platform = platform
        self._data_dir = data_dir
        self._seen = self._stamp()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.look()

    async def look(self) -> None:
        """Take up the keys, if the file is another one than before."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            ring = load_signing_keys(self._data_dir)
        except (DataDirError, OSError) as error:
            _log.error("signing_keys_unreadable reason=%r", str(error))
            return
        self._platform.tokens.replace_keys(ring)
        _log.warning("signing_keys_replaced newest=%s keys=%d", ring.keys[0].id, len(ring.keys))
        await self._make_known(ring)

    async def _make_known(self, ring: Keyring) -> None:
        """Have nodes that start later refuse to do so without the newest key."""
        store, newest = self._platform.store, ring.keys[0].id
        await patiently(lambda: store.write(installation.note_signing_key, newest))

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = signing_keys_path(self._data_dir).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino
