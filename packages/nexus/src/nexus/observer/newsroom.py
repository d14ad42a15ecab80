"""Where news come in and go out to the open pages: read once for each tenant, told to every viewer.

Viewers are told what changed, never its content: each page asks anew for what it shows, at most so
often, and whoever is not fast enough is told once what it missed. So what an event costs does not
grow with the viewers' pages, and what a viewer costs does not grow with the events.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from nexus.domain.errors import NexusError
from nexus.services import activity, deliveries
from nexus.services.platform import Platform
from nexus.store.tx import Row

logger = structlog.get_logger(__name__)

POLL_S = 1.0
"""How long a lost wake-up can hold news back."""

PAUSE_S = 0.2
"""Between two looks at the feed, however much happens."""

_MOST_READ = 500
_MOST_NAMED = 100
"""Of more than so many tasks or agents at once, viewers are told that much has changed."""


@dataclass(kw_only=True)
class News:
    """What changed since a viewer was last told; ``position`` is the newest entry's id."""

    position: int
    tasks: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    much: bool = False
    deliveries: bool = False
    """Whether some stand otherwise, which is no entry of the feed."""

    def add(self, entries: Iterable[Row]) -> None:
        """Take in what happened."""
        for entry in entries:
            self.position = entry["id"]
            self.types.add(entry["type"])
            if entry["task_id"] is not None:
                self.tasks.add(entry["task_id"])
            if entry["agent_id"] is not None:
                self.agents.add(entry["agent_id"])
        if len(self.tasks) > _MOST_NAMED or len(self.agents) > _MOST_NAMED:
            self.much = True
            self.tasks.clear()
            self.agents.clear()

    def told(self) -> dict[str, Any]:
        """Return what pages are told."""
        return {
            "position": self.position,
            "tasks": sorted(self.tasks),
            "agents": sorted(self.agents),
            "types": sorted(self.types),
            "much": self.much,
            "deliveries": self.deliveries,
        }


class Viewer:
    """One open page."""

    def __init__(self, position: int) -> None:
        self._news = News(position=position)
        self._woken = asyncio.Event()
        self.over = False

    def hear(self, entries: Iterable[Row]) -> None:
        """Keep in mind what happened until the page takes it."""
        self._news.add(entries)
        self._woken.set()

    def hear_of_deliveries(self) -> None:
        """Keep in mind that some stand otherwise until the page takes it."""
        self._news.deliveries = True
        self._woken.set()

    def missed(self) -> None:
        """Have the page look at everything again."""
        self._news.much = True
        self._woken.set()

    def end(self) -> None:
        """Tell the page that this node is about to stop."""
        self.over = True
        self._woken.set()

    async def next(self, seconds: float) -> News | None:
        """Return what changed, or None when nothing did for ``seconds``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        if not self._woken.is_set():
            return None
        self._woken.clear()
        news, self._news = self._news, News(position=self._news.position)
        return news


class _Desk:
    """Reads one tenant's feed as long as somebody looks."""

    def __init__(self, platform: Platform, tenant_id: str, position: int) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._woken = asyncio.Event()
        self._delivered = False
        self._unsettled: int | None = None
        self.position = position
        self.viewers: set[Viewer] = set()

    async def run(self) -> None:
        bus, tenant_id = self._platform.bus, self._tenant_id
        with contextlib.ExitStack() as heard:
            heard.callback(bus.listen(activity.topic(tenant_id), self._woken.set))
            heard.callback(bus.listen(deliveries.moved(tenant_id), self._hear_of_deliveries))
            while True:
                await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_S)
                self._woken.clear()

    def _hear_of_deliveries(self) -> None:
        self._delivered = True
        self._woken.set()

    async def _look(self) -> None:
        try:
            entries = await self._platform.store.read(
                activity.since, self._tenant_id, after=self.position, limit=_MOST_READ
            )
            if self._platform.is_shared:
                await self._look_at_other_nodes()
        except NexusError as error:
            logger.warning("observer_feed_unreadable", error=error.message)
            entries = []
        delivered, self._delivered = self._delivered, False
        if delivered:
            for viewer in tuple(self.viewers):
                viewer.hear_of_deliveries()
        if entries:
            self.position = entries[-1]["id"]
            for viewer in tuple(self.viewers):
                viewer.hear(entries)
        if len(entries) == _MOST_READ:
            self._woken.set()
        await asyncio.sleep(PAUSE_S)

    async def _look_at_other_nodes(self) -> None:
        """See by how many pend whether another node has made some; those wake nobody here."""
        pending = await self._platform.store.read(deliveries.unsettled, self._tenant_id)
        self._delivered |= pending != self._unsettled and self._unsettled is not None
        self._unsettled = pending


class Newsroom:
    """One desk for each tenant that somebody looks at."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._desks: dict[str, tuple[_Desk, asyncio.Task[None]]] = {}
        self._draining = False
        platform.bus.listen(platform.draining_topic, self._drain)

    @property
    def readers(self) -> int:
        """How many tenants' feeds are read."""
        return len(self._desks)

    @contextlib.asynccontextmanager
    async def viewer(self, tenant_id: str, position: int) -> AsyncIterator[Viewer]:
        """Yield a viewer whose page shows what was true at ``position``."""
        newest = await self._platform.store.read(activity.position, tenant_id)
        desk = self._desk(tenant_id, newest)
        viewer = Viewer(desk.position)
        viewer.over = self._draining
        if position != desk.position:
            viewer.missed()
        desk.viewers.add(viewer)
        try:
            yield viewer
        finally:
            desk.viewers.discard(viewer)
            self._close_if_idle(tenant_id, desk)

    def _desk(self, tenant_id: str, newest: int) -> _Desk:
        if tenant_id not in self._desks:
            desk = _Desk(self._platform, tenant_id, newest)
            reading = asyncio.create_task(desk.run(), name=f"observer news {tenant_id}")
            self._desks[tenant_id] = (desk, reading)
        return self._desks[tenant_id][0]

    def _close_if_idle(self, tenant_id: str, desk: _Desk) -> None:
        held, reading = self._desks.get(tenant_id, (None, None))
        if held is desk and reading is not None and not desk.viewers:
            reading.cancel()
            del self._desks[tenant_id]

    def _drain(self) -> None:
        self._draining = True
        for desk, _ in self._desks.values():
            for viewer in tuple(desk.viewers):
                viewer.end()
