"""Where it is kept outside the database how far the audit log goes: a file beside the keys."""

import asyncio
import json
import logging
from pathlib import Path

from nexus.domain.audit_chain import End
from nexus.keys import write_private
from nexus.store import DataDirError

_log = logging.getLogger("nexus.audit")


def anchor_path(data_dir: Path) -> Path:
    """Return where the ends of the chains are kept."""
    return data_dir / "audit-anchor.json"


def read_anchors(data_dir: Path) -> dict[str, End]:
    """Return the ends that are kept, by tenant.

    Raises:
        DataDirError: the file is damaged.
    """
    path = anchor_path(data_dir)
    try:
        kept = json.loads(path.read_text())
        return {
            tenant_id: End(tenant_id=tenant_id, seq=int(end["seq"]), seal=str(end["seal"]))
            for tenant_id, end in kept.items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataDirError(f"{path} is damaged; restore it from a backup") from error


def write_anchors(data_dir: Path, ends: dict[str, End]) -> None:
    """Keep these ends, for their owner only."""
    kept = {end.tenant_id: {"seq": end.seq, "seal": end.seal} for end in ends.values()}
    write_private(anchor_path(data_dir), json.dumps(kept, indent=2, sort_keys=True) + "\n")


def advance(data_dir: Path, ends: dict[str, End]) -> None:
    """Keep these ends beside what is kept already, each where it is further on.

    Raises:
        DataDirError: the file is damaged.
        OSError: it cannot be written.
    """
    kept = read_anchors(data_dir)
    further = {
        tenant_id: end
        for tenant_id, end in ends.items()
        if tenant_id not in kept or end.seq > kept[tenant_id].seq
    }
    if further:
        write_anchors(data_dir, kept | further)


class AuditAnchor:
    """Holds on to the end of each chain; many acts at once share a write."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._due: dict[str, End] = {}
        self._writing = asyncio.Lock()

    async def hold(self, end: End) -> None:
        """Return once this end is on disk; an act stands also where that fails, which is logged."""
        due = self._due.get(end.tenant_id)
        if due is None or end.seq > due.seq:
            self._due[end.tenant_id] = end
        async with self._writing:
            ends, self._due = self._due, {}
            if not ends:
                return
            try:
                await asyncio.to_thread(advance, self._data_dir, ends)
            except (DataDirError, OSError) as error:
                _log.error("audit_anchor_not_kept reason=%r", str(error))
