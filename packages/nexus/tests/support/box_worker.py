"""Where tests have a worker see to a box: its node's store and bus, and who makes deliveries."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from eventually import eventually
from letters import BOX, all_of, letter
from nexus.bus import LocalBus
from nexus.domain.audit_chain import End
from nexus.integrations.worker import Box, Record, Worker
from nexus.services import deliveries
from nexus.services.platform import Platform
from nexus.services.signing import Keyring
from nexus.services.tokens import Tokens
from nexus.store import UnitOfWork
from nexus.store.opening import open_unit_of_work
from nexus.store.refusals import Refusals
from nexus.store.tx import Row, Tx
from service_world import ServiceWorld

Act = Callable[[Row], Awaitable[Record]]


class HeldEnds(list[End]):
    """An anchor that remembers what it held on to."""

    async def hold(self, end: End) -> None:
        self.append(end)


class CountingStore:
    """A node's store that counts what is asked of it, by service."""

    def __init__(self, store: UnitOfWork) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()
        self.failures: list[Exception] = []
        self.refusals = Refusals()
        """What the next writes are refused with."""

    async def write(self, service: Any, *args: Any, **how: Any) -> Any:
        self.asked[service.__name__] += 1
        if self.failures:
            raise self.failures.pop(0)
        return await self._store.write(service, *args, **how)

    async def glance(self, service: Any, *args: Any, **how: Any) -> Any:
        self.asked[service.__name__] += 1
        return await self._store.glance(service, *args, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class Maker:
    """Makes deliveries, and remembers which; how each goes is what a test says."""

    acts: dict[str, Act] = field(default_factory=dict)
    """By key; the others go well."""
    begun: list[str] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)

    async def __call__(self, row: Row) -> Record:
        self.begun.append(row["key"])
        self.seen.append(row)
        act = self.acts.get(row["key"])
        return nothing if act is None else await act(row)


def nothing(_tx: Tx) -> None:
    """Record nothing."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node that sees to the tests' box."""

    store: CountingStore
    bus: LocalBus
    maker: Maker
    told: list[str | None]
    ends: HeldEnds
    task: asyncio.Task[None]
    tenant_id: str

    async def post(self, *keys: str, **more: Any) -> None:
        """Post letters of these keys, in one commit."""

        def post(tx: Tx) -> None:
            for key in keys:
                deliveries.post(tx, letter(self.tenant_id, key, **more))

        await self.store._store.write(post)

    def wake(self) -> None:
        """Have the worker look at what its clock says."""
        self.bus.wake([deliveries.topic(BOX)])

    async def all(self) -> dict[str, Row]:
        """Return what is stored, by key."""
        found: dict[str, Row] = await self.store.read(all_of)
        return found

    async def until(self, status: str, *keys: str) -> None:
        """Wait until these deliveries have this status."""

        async def there() -> bool:
            stored = await self.all()
            return all(stored[key]["status"] == status for key in keys)

        await eventually(there, what=f"{', '.join(keys)} {status}")

    async def until_begun(self, number: int) -> None:
        """Wait until so many deliveries were begun."""

        async def begun() -> bool:
            return len(self.maker.begun) >= number

        await eventually(begun, what=f"{number} deliveries begun")


@contextlib.asynccontextmanager
async def node(world: ServiceWorld, maker: Maker | None = None, **box: Any) -> AsyncIterator[Node]:
    """Have a node see to the tests' box until the block ends."""
    bus, maker, told, ends = LocalBus(), maker or Maker(), list[str | None](), HeldEnds()
    store = CountingStore(open_unit_of_work(world.database, bus.wake, world.time))
    platform = Platform(
        store=store,
        bus=bus,
        tokens=Tokens(Keyring.of(b"k" * 32)),
        pepper=b"pepper",
        clock=world.time,
        anchor=ends,
    )
    worker = Worker(platform, Box(name=BOX, handle=maker, **box), told.append)
    task = asyncio.create_task(worker.run())
    tenant_id = world.admin.tenant_id
    try:
        yield Node(
            store=store, bus=bus, maker=maker, told=told, ends=ends, task=task, tenant_id=tenant_id
        )
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await store.close()
