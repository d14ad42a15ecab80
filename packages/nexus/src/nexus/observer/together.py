"""Where people who ask for the same at once are answered by one look at the store.

What changed is told to all open pages in the same moment, and each of them asks anew. Whoever asks
while a look is under way is answered by the next one, with all others who asked meanwhile: it is as
new as a look of their own, and many of them cost hardly more than one.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from nexus.domain.errors import NexusError
from nexus.domain.principal import Principal
from nexus.services.deeds import Doer
from nexus.store.tx import Tx
from nexus.store.unit_of_work import UnitOfWork

R = TypeVar("R")
Act = Callable[[Tx, Principal], R]
_Asked = tuple[Doer, "asyncio.Future[Any]"]


class Together:
    """The looks that are under way, and who waits for the next ones."""

    def __init__(self, store: UnitOfWork) -> None:
        self._store = store
        self._asked: dict[Hashable, list[_Asked]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def look(self, what: Hashable, doer: Doer, act: Act[R]) -> R:
        """Return what ``act`` finds from now on; each who asks is judged like anybody alone.

        For all who ask for the same ``what``, it is done once for each tenant's admins and once for
        its viewers: it may know nothing else of who asks.
        """
        found: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        if what in self._asked:
            self._asked[what].append((doer, found))
        else:
            self._asked[what] = [(doer, found)]
            looking = asyncio.create_task(self._look(what, act), name="observer looks for many")
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
        return await found

    async def _look(self, what: Hashable, act: Act[Any]) -> None:
        while asked := self._asked[what]:
            self._asked[what] = []
            doers = [doer for doer, _ in asked]
            for (_, found), outcome in zip(asked, await self._outcomes(doers, act), strict=True):
                _settle(found, outcome)
                await asyncio.sleep(0)  # others have their turn between two answers
        del self._asked[what]

    async def _outcomes(self, doers: Sequence[Doer], act: Act[Any]) -> Sequence[Any]:
        try:
            return await self._store.read(_of_all, doers, act)
        except Exception as error:  # noqa: BLE001 - raised again, at all who wait
            return [error] * len(doers)


def _of_all(tx: Tx, doers: Sequence[Doer], act: Act[Any]) -> list[Any]:
    known: dict[tuple[str, bool], Any] = {}

    def once(tx: Tx, caller: Principal) -> Any:
        of = (caller.tenant_id, caller.is_admin)
        if of not in known:
            known[of] = act(tx, caller)
        return known[of]

    return [_of_one(tx, doer, once) for doer in doers]


def _of_one(tx: Tx, doer: Doer, act: Act[Any]) -> Any:
    try:
        return doer.enter(tx, act)
    except NexusError as refusal:
        return refusal


def _settle(found: "asyncio.Future[Any]", outcome: Any) -> None:
    if found.done():
        return  # whoever asked has left
    if isinstance(outcome, Exception):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)
