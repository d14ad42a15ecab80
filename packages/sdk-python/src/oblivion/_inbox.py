"""Where it is decided what an incoming event is: new, at work, or handled before.

Pure: nothing here sends or waits. The memory is bounded: the ids and numbers of the newest
events are kept, and every number at or below the newest forgotten one counts as seen.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

MEMORY = 4_096
"""Events that are remembered; Nexus has at most a few hundred unacknowledged ones under way."""


class Admission(Enum):
    """What an event is to this process."""

    NEW = "new"
    AT_WORK = "at_work"
    HANDLED = "handled"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What identifies one event: its id, and its number within one epoch; hints have neither."""

    id: str | None = None
    seq: int | None = None
    epoch: str = ""


class Inbox:
    """Which events this process has seen, which are at work, which can be acknowledged."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._at_work: set[str | int] = set()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._seqs: OrderedDict[int, None] = OrderedDict()
        self._acks: set[int] = set()
        self._forgotten = 0
        self.epoch = ""
        self.last_seq = 0

    def receipt(self, event_id: str | None, seq: int | None) -> Receipt:
        """Return the identity of an event that just came in."""
        return Receipt(event_id, seq, self.epoch)

    def admit(self, receipt: Receipt) -> Admission:
        """Decide what the event is, and remember a new one as being at work."""
        if self._is_known(receipt):
            at_work = not self._keys(receipt).isdisjoint(self._at_work)
            return Admission.AT_WORK if at_work else Admission.HANDLED
        self._remember(receipt)
        self._at_work |= self._keys(receipt)
        return Admission.NEW

    def finish(self, receipt: Receipt) -> None:
        """Note that the event needs no more work and can be acknowledged."""
        self._at_work -= self._keys(receipt)
        if receipt.seq is not None and receipt.epoch == self.epoch:
            self._acks.add(receipt.seq)

    def abandon(self, receipt: Receipt) -> None:
        """Note that the work was cut off: another process may do it, this one does not again."""
        self._at_work -= self._keys(receipt)

    def forget(self, receipt: Receipt) -> None:
        """Note that the event was never worked on: sent again, it is new."""
        self._at_work -= self._keys(receipt)
        if receipt.id is not None:
            self._ids.pop(receipt.id, None)
        if receipt.seq is not None and receipt.epoch == self.epoch:
            self._seqs.pop(receipt.seq, None)

    def take_acks(self) -> list[int]:
        """Return the numbers to acknowledge, in order, and forget them."""
        acks, self._acks = sorted(self._acks), set()
        return acks

    def adopt(self, epoch: str) -> bool:
        """Take over the epoch of Nexus's history; True if it differs and the numbers start anew."""
        changed = self.epoch not in {"", epoch}
        if changed:
            self.skip_to(epoch, 0)
        self.epoch = epoch
        return changed

    def skip_to(self, epoch: str, seq: int) -> None:
        """Forget the numbers: the history goes on in ``epoch`` after ``seq``."""
        self._at_work = {key for key in self._at_work if isinstance(key, str)}
        self._seqs.clear()
        self._acks.clear()
        self._forgotten = self.last_seq = seq
        self.epoch = epoch

    def _keys(self, receipt: Receipt) -> set[str | int]:
        same_epoch = receipt.epoch == self.epoch
        keys = {receipt.id, receipt.seq if same_epoch else None}
        return {key for key in keys if key is not None}

    def _is_known(self, receipt: Receipt) -> bool:
        if receipt.id is not None and receipt.id in self._ids:
            return True
        seq = receipt.seq
        return seq is not None and (seq <= self._forgotten or seq in self._seqs)

    def _remember(self, receipt: Receipt) -> None:
        if receipt.id is not None:
            self._ids[receipt.id] = None
            if len(self._ids) > self._memory:
                self._ids.popitem(last=False)
        if receipt.seq is not None:
            self._seqs[receipt.seq] = None
            self.last_seq = max(self.last_seq, receipt.seq)
            if len(self._seqs) > self._memory:
                oldest, _ = self._seqs.popitem(last=False)
                self._forgotten = max(self._forgotten, oldest)
