"""Dispatch in a large team: as few agents as possible are looked at, and the choice is the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.domain.routing import Candidate, Wanted, match
from nexus.services import dispatch, leases, tasks
from nexus.store import Tx
from nexus.store.schema import agents, groups, sessions
from oblivion.protocol import Task
from service_world import NODE, ServiceWorld

SKILLS = ("python", "rust")


@dataclass(frozen=True, kw_only=True)
class Person:
    """What an agent of the fleet is like."""

    skills: frozenset[str]
    max_concurrency: int
    load: int
    idle_for: int


people = st.builds(
    Person,
    skills=st.frozensets(st.sampled_from(SKILLS)),
    max_concurrency=st.integers(1, 3),
    load=st.integers(0, 3),
    idle_for=st.integers(0, 3),
)
wishes = st.lists(st.frozensets(st.sampled_from(SKILLS)), max_size=25)


@pytest.fixture
def fleet(world: ServiceWorld) -> ServiceWorld:
    for number in range(40):
        world.connect(world.agent(f"agent-{number}"))
    return world


def lease(world: ServiceWorld) -> int:
    return world.run(dispatch.lease_next, NODE, world.limits.lease_ms)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many agents each choice was made among."""
    seen: list[int] = []

    def watched(wanted: Sequence[Wanted], free: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
        seen.append(len(free))
        return match(wanted, free)

    monkeypatch.setattr(dispatch, "match", watched)
    return seen


def test_one_task_looks_at_a_few_agents_however_many_are_there(
    fleet: ServiceWorld, looked_at: list[int]
) -> None:
    fleet.task()
    assert lease(fleet) == 1
    assert looked_at == [8]


def test_a_task_for_one_of_many_finds_it(fleet: ServiceWorld, looked_at: list[int]) -> None:
    fleet.time.advance(seconds=1)
    expert = fleet.agent("expert")
    fleet.connect(expert, capabilities=["cobol"])
    task = fleet.task(required_capabilities=["cobol"])
    assert lease(fleet) == 1
    assert fleet.show(task.id).claimed_by_agent_id == expert
    assert looked_at == [8, 41]


def test_as_many_tasks_as_agents_find_one_each(fleet: ServiceWorld) -> None:
    made = [fleet.task() for _ in range(41)]
    assert lease(fleet) == 40
    holders = [fleet.show(task.id).claimed_by_agent_id for task in made]
    assert holders.count(None) == 1
    assert len(set(holders)) == 41


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(crew=st.lists(people, max_size=30), wanted=wishes)
def test_the_choice_is_that_among_all(
    fleet: ServiceWorld, crew: list[Person], wanted: list[frozenset[str]]
) -> None:
    with fleet.database.writer.connect() as connection, connection.begin() as transaction:
        tx = Tx(connection, fleet.time())
        tx.change(sa.update(sessions).values(ready=False))
        free = [_at_work(tx, fleet, number, person) for number, person in enumerate(crew)]
        made = sorted((_task(tx, fleet, "work", skills) for skills in wanted), key=lambda t: t.id)
        expected = dict(match([_wanted(task) for task in made], free))
        assert dispatch.lease_next(tx, NODE, fleet.limits.lease_ms) == len(expected)
        holders = {
            task.id: tasks.show(tx, fleet.admin, task.id).claimed_by_agent_id for task in made
        }
        assert {task: agent for task, agent in holders.items() if agent} == expected
        transaction.rollback()


def _task(tx: Tx, world: ServiceWorld, project: str, skills: frozenset[str]) -> Task:
    wish = tasks.CreateTask(project_id=project, title="A", required_capabilities=sorted(skills))
    return tasks.create(tx, world.admin, wish)


def _wanted(task: Task) -> Wanted:
    return Wanted(
        task_id=task.id, group_id=task.group_id, capabilities=frozenset(task.required_capabilities)
    )


def _at_work(tx: Tx, world: ServiceWorld, number: int, person: Person) -> Candidate:
    """Have an agent of the fleet be as busy, as able and as long idle as the person."""
    agent_id: str = tx.scalar(sa.select(agents.c.id).where(agents.c.name == f"Agent-{number}"))
    load = min(person.load, person.max_concurrency)
    for _ in range(load):
        task = _task(tx, world, "race", frozenset())
        leases.claim(tx, agent_id, task.id, max_concurrency=None, lease_ms=60_000)
    since = tx.now - person.idle_for
    is_like = {
        "ready": True,
        "capabilities": sorted(person.skills),
        "max_concurrency": person.max_concurrency,
        "idle_since": since,
    }
    tx.update(sessions, is_like, agent_id=agent_id)
    return Candidate(
        agent_id=agent_id,
        groups=frozenset({tx.scalar(sa.select(groups.c.id))}),
        capabilities=person.skills,
        load=load,
        max_concurrency=person.max_concurrency,
        idle_since=since,
    )
