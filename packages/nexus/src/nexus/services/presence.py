"""Where it is noticed that for a while no node could serve: leases stand still for that long."""

from nexus.services import leases
from nexus.store.schema import meta
from nexus.store.tx import Tx

_KEY = "alive_at"
NOTE_EVERY_MS = 5_000
OUTAGE_MS = 20_000
"""No word of any node for this long means that no agent could be heard either."""


def note(tx: Tx) -> int:
    """Note that a node is alive; return for how many milliseconds none was.

    While all nodes or the database were away, nobody could renew a lease, so every lease goes on
    for as long as that took. Call it before leases are ended for want of renewal.
    """
    newest = tx.one(meta.select().where(meta.c.key == _KEY).with_for_update())
    if newest is None:
        tx.insert(meta, {"key": _KEY, "value": str(tx.now)})
        return 0
    silent = tx.now - int(newest["value"])
    if silent < NOTE_EVERY_MS:
        return 0
    tx.update(meta, {"value": str(tx.now)}, key=_KEY)
    if silent < OUTAGE_MS:
        return 0
    leases.prolong_all(tx, silent)
    return silent
