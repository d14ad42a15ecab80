"""Where a state machine's world lives: two tenants, four agents, and a way back to the beginning.

Everything happens inside one transaction that is never committed, each command in a savepoint of
its own as under group commit: the next trace begins where a rollback leads, in no time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from unittest.mock import patch

import sqlalchemy as sa

from nexus.domain.principal import Principal, Role
from nexus.services import agents, groups, projects
from nexus.store import Tx, ids, schema
from nexus.store.statement import Statement
from nexus.store.tx import Row
from oblivion.protocol import DispatchPolicy
from service_world import ServiceWorld

P = ParamSpec("P")
R = TypeVar("R")

SKILLS = ("code", "draw", "fly")
"""``a`` codes, ``b`` draws, all announce what they like; nobody's profile says ``fly``."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project and who may work in it."""

    id: str
    group_id: str
    tenant_id: str
    policy: DispatchPolicy


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the tables hold, as the laws look at it; ``activity`` is what the step added."""

    tasks: Mapping[str, Row]
    events: Mapping[str, list[Row]]
    heads: Mapping[str, int]
    sessions: Mapping[str, Row]
    activity: list[Row] = field(default_factory=list)
    other: Mapping[str, Any]


_TASKS = Statement(schema.tasks.select().order_by(schema.tasks.c.id))
_EVENTS = Statement(
    schema.agent_events.select().order_by(schema.agent_events.c.agent_id, schema.agent_events.c.seq)
)
_HEADS = Statement(sa.select(schema.agents.c.id, schema.agents.c.event_seq))
_SESSIONS = Statement(schema.sessions.select())
_ACTIVITY = Statement(
    schema.activity.select()
    .where(schema.activity.c.id > sa.bindparam("after"))
    .order_by(schema.activity.c.id)
)
_OTHER = Statement(
    sa.select(
        *(
            sa.select(sa.func.count()).select_from(table).scalar_subquery().label(table.name)
            for table in (schema.messages, schema.call_answers, schema.idempotency_keys)
        )
    )
)


class CountedIds:
    """Stands in for chance and time where ids are made, so that a trace can be replayed."""

    def __init__(self, first: int) -> None:
        self._numbers = count(first)

    def time_ns(self) -> int:
        return 0

    def randbits(self, _bits: int) -> int:
        return next(self._numbers)


class TraceWorld(ServiceWorld):
    """A ``ServiceWorld`` with strangers in it, which forgets each trace."""

    def __init__(self, path: Path) -> None:
        self._connection: sa.Connection | None = None
        super().__init__(path)
        self.agents: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        with predictable_ids(1):
            self._settle()
        self._began = self.time.now

    def run(self, service: Callable[Concatenate[Tx, P], R], *args: P.args, **more: P.kwargs) -> R:
        """Run a service whole or not at all."""
        if self._connection is None:
            return super().run(service, *args, **more)
        with self._connection.begin_nested():
            return service(Tx(self._connection, self.time()), *args, **more)

    @contextmanager
    def trace(self) -> Iterator[None]:
        """Run commands that leave nothing behind."""
        self.time.now = self._began
        with predictable_ids(1_000), self.database.writer.connect() as self._connection:
            self._connection.begin()
            try:
                yield
            finally:
                self._connection.rollback()
                self._connection = None

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Read what the laws are about; ``before`` says from where activity is new."""
        return self.run(_snapshot, before)

    def _settle(self) -> None:
        self.stranger = Principal(
            tenant_id=self.run(_second_tenant), client_id="stranger", role=Role.ADMIN
        )
        for owner, slug in ((self.admin, "fading"), (self.admin, "other"), (self.stranger, "team")):
            self.run(groups.create, owner, groups.CreateGroup(name=slug.title(), slug=slug))
        self._place("work", self.admin, "team")
        self._place("race", self.admin, "team", DispatchPolicy.CLAIM)
        self._place("closing", self.admin, "team")
        self._place("fading", self.admin, "fading")
        self._place("other", self.admin, "other")
        self._place("foreign", self.stranger, "team")
        self._agent("a", self.admin, ["team", "fading"], ["code"])
        self._agent("b", self.admin, ["team", "fading"], ["draw"])
        self._agent("c", self.admin, ["other"], [])
        self._agent("x", self.stranger, ["team"], [])

    def _agent(self, name: str, owner: Principal, teams: list[str], skills: list[str]) -> None:
        wish = agents.CreateAgent(
            name=f"Agent {name}", client_id=name, group_ids=teams, capabilities=skills
        )
        self.agents[name] = self.run(agents.create, owner, wish, "hash").id

    def _place(
        self,
        slug: str,
        owner: Principal,
        group: str,
        policy: DispatchPolicy = DispatchPolicy.ASSIGN,
    ) -> None:
        if slug not in {"work", "race"}:  # those came with the team
            wish = projects.CreateProject(
                group_id=group, name=slug.title(), slug=slug, dispatch_policy=policy
            )
            self.run(projects.create, owner, wish)
        found = self.run(projects.row, owner.tenant_id, slug)
        self.places[slug] = Place(
            id=found["id"],
            group_id=found["group_id"],
            tenant_id=owner.tenant_id,
            policy=policy,
        )


@contextmanager
def predictable_ids(first: int) -> Iterator[None]:
    """Have new ids count up from ``first``."""
    counted = CountedIds(first)
    with patch.object(ids, "time", counted), patch.object(ids, "secrets", counted):
        yield


def _second_tenant(tx: Tx) -> str:
    tenant_id = "second-tenant"
    values = {"id": tenant_id, "slug": "second", "name": "Second", "created_at": tx.now}
    tx.insert(schema.tenants, values)
    return tenant_id


def _snapshot(tx: Tx, before: Snapshot | None) -> Snapshot:
    heads = {row["id"]: row["event_seq"] for row in tx.rows(_HEADS)}
    events: dict[str, list[Row]] = {agent_id: [] for agent_id in heads}
    for row in tx.rows(_EVENTS):
        events[row["agent_id"]].append(row)
    told_before = 0 if before is None else before.other["newest_activity"]
    fresh = list(tx.rows(_ACTIVITY, after=told_before))
    return Snapshot(
        tasks={row["id"]: row for row in tx.rows(_TASKS)},
        events=events,
        heads=heads,
        sessions={row["agent_id"]: row for row in tx.rows(_SESSIONS)},
        activity=fresh,
        other={
            **tx.rows(_OTHER)[0],
            "newest_activity": fresh[-1]["id"] if fresh else told_before,
        },
    )
