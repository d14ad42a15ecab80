"""Where a state machine's world lives: two tenants, four agents, and a way back to the beginning.

Everything happens inside one transaction that is never committed, each command in a savepoint of
its own as under group commit: the next trace begins where a rollback leads, in no time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from unittest.mock import patch

import sqlalchemy as sa

from nexus.domain.principal import Principal, Role
from nexus.services import agents, groups, projects
from nexus.services.resources import Agent
from nexus.store import Tx, ids, schema
from oblivion.protocol import DispatchPolicy
from service_world import ServiceWorld
from traces.snapshot import Snapshot, take

P = ParamSpec("P")
R = TypeVar("R")

HOMES = {"a": ("team", "fading"), "b": ("team", "fading"), "c": ("other",), "x": ("team",)}
"""The groups of each agent; ``x`` and its team are another tenant's."""
PROFILES = {"a": ["code"], "b": ["draw"], "c": [], "x": []}
"""What each can do of itself; nobody can ``fly``."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project and who may work in it."""

    id: str
    group_id: str
    tenant_id: str
    policy: DispatchPolicy


@dataclass(frozen=True, kw_only=True)
class Member:
    """An agent as it begins."""

    name: str
    id: str
    tenant_id: str
    group_ids: frozenset[str]
    profile: frozenset[str]


class CountedIds:
    """Stands in for chance and time where ids are made, so that a trace can be replayed."""

    def __init__(self, first: int) -> None:
        self._numbers = count(first)

    def time_ns(self) -> int:
        return 0

    def getrandbits(self, _bits: int) -> int:
        return next(self._numbers)


class TraceWorld(ServiceWorld):
    """A ``ServiceWorld`` with strangers in it, which forgets each trace."""

    def __init__(self, database: str | Path) -> None:
        self._connection: sa.Connection | None = None
        super().__init__(database)
        self.members: list[Member] = []
        self.places: dict[str, Place] = {}
        with predictable_ids(1):
            self._settle()
        self._began = self.time.now

    def run(self, service: Callable[Concatenate[Tx, P], R], *args: P.args, **more: P.kwargs) -> R:
        """Run a service whole or not at all; ``woken`` is whom it alone woke."""
        if self._connection is None:
            return super().run(service, *args, **more)
        tx = Tx(self._connection, self.time())
        self._tell_driver("SAVEPOINT step")
        try:
            result = service(tx, *args, **more)
        except Exception:
            self._tell_driver("ROLLBACK TO SAVEPOINT step")
            raise
        finally:
            self._tell_driver("RELEASE SAVEPOINT step")
        self.woken = tx.wakes
        return result

    @contextmanager
    def trace(self) -> Iterator[None]:
        """Run commands that leave nothing behind."""
        self.time.now = self._began
        with predictable_ids(1_000), self.database.writer.connect() as connection:
            connection.begin()
            self._connection = connection
            try:
                yield
            finally:
                self._connection = None
                connection.rollback()

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Read what the laws are about; ``before`` says from where the feed is new."""
        assert self._connection is not None, "only a trace is looked at"
        tx = Tx(self._connection, self.time())
        return take(tx, 0 if before is None else before.newest_activity)

    def _tell_driver(self, sql: str) -> None:
        assert self._connection is not None
        driver: Any = self._connection.connection.driver_connection
        driver.execute(sql)

    def _settle(self) -> None:
        self.stranger = Principal(
            tenant_id=self.run(_second_tenant), client_id="stranger", role=Role.ADMIN
        )
        for owner, slug in ((self.admin, "fading"), (self.admin, "other"), (self.stranger, "team")):
            self.run(groups.create, owner, groups.CreateGroup(name=slug.title(), slug=slug))
        for slug, group in (("closing", "team"), ("fading", "fading"), ("other", "other")):
            self._open_project(slug, self.admin, group)
        self._open_project("foreign", self.stranger, "team")
        for slug in ("work", "race", "closing", "fading", "other"):
            self._know_place(slug, self.admin)
        self._know_place("foreign", self.stranger)
        for name, homes in HOMES.items():
            self._hire(name, self.stranger if name == "x" else self.admin, homes)

    def _hire(self, name: str, owner: Principal, homes: tuple[str, ...]) -> None:
        wish = agents.CreateAgent(
            name=f"Agent {name}",
            client_id=name,
            group_ids=list(homes),
            capabilities=PROFILES[name],
        )
        made = self.run(agents.create, owner, wish, "hash")
        self.members.append(member(made, owner.tenant_id))

    def _open_project(self, slug: str, owner: Principal, group: str) -> None:
        wish = projects.CreateProject(group_id=group, name=slug.title(), slug=slug)
        self.run(projects.create, owner, wish)

    def _know_place(self, slug: str, owner: Principal) -> None:
        found = self.run(projects.row, owner.tenant_id, slug)
        self.places[slug] = Place(
            id=found["id"],
            group_id=found["group_id"],
            tenant_id=owner.tenant_id,
            policy=DispatchPolicy(found["dispatch_policy"]),
        )


def member(made: Agent, tenant_id: str) -> Member:
    """Return an agent that was made just now, as the model wants it."""
    return Member(
        name=made.client_id,
        id=made.id,
        tenant_id=tenant_id,
        group_ids=frozenset(group.id for group in made.groups),
        profile=frozenset(made.capabilities),
    )


@contextmanager
def predictable_ids(first: int) -> Iterator[None]:
    """Have new ids count up from ``first``."""
    counted = CountedIds(first)
    with patch.object(ids, "time", counted), patch.object(ids, "chance", counted):
        yield


def _second_tenant(tx: Tx) -> str:
    tenant_id = "second-tenant"
    values = {"id": tenant_id, "slug": "second", "name": "Second", "created_at": tx.now}
    tx.insert(schema.tenants, values)
    return tenant_id
