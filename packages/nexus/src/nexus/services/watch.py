"""Where it is noticed that the clock is no measure of what agents did; then all begins anew."""

from nexus.domain.watch import NOTE_EVERY_MS, is_set_back, is_unwatched
from nexus.services import attempts, deliveries, leases, sessions
from nexus.store.schema import meta
from nexus.store.tx import Tx

_KEY = "alive_at"


def note(tx: Tx, lease_ms: int) -> bool:
    """Note that a node is alive; say whether time up to now does not count.

    While all nodes or the database were away nobody could renew a lease, and when the clock was
    set nobody had the time to. Then leases, deadlines and silences begin anew. Where the clock was
    set back, a pause that would outlast that ends, and which lease is of which connection stays
    told by when both began. Call it before anything is ended for want of renewal.
    """
    newest = tx.one(meta.select().where(meta.c.key == _KEY).with_for_update())
    passed = 0 if newest is None else tx.now - int(newest["value"])
    if newest is not None and 0 <= passed < NOTE_EVERY_MS:
        return False
    begin(tx)
    if is_set_back(passed):
        attempts.end_pauses(tx)
        deliveries.end_pauses(tx)
        sessions.set_back(tx, -passed)
        leases.set_back(tx, -passed)
    if is_unwatched(passed):
        sessions.hear_all(tx)
        leases.renew_all(tx, lease_ms)
    return is_unwatched(passed)


def begin(tx: Tx) -> None:
    """Count time from now on."""
    if not tx.update(meta, {"value": str(tx.now)}, key=_KEY):
        tx.insert(meta, {"key": _KEY, "value": str(tx.now)})
