"""The clock is no measure where nobody watched it, or where it was set."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
import sqlalchemy as sa

from eventually import eventually
from nexus.audit_anchor import AuditAnchor
from nexus.bus import LocalBus
from nexus.delivery.caretaker import Caretaker
from nexus.delivery.hub import Hub
from nexus.domain.watch import NOTE_EVERY_MS, OUTAGE_MS, SET_BACK_MS, is_set_back, is_unwatched
from nexus.services import attempts, calls, dispatch, handover, watch
from nexus.services.platform import Platform
from nexus.services.signing import Keyring
from nexus.services.tokens import Tokens
from nexus.store import Tx
from nexus.store.recent import RecentEvents
from nexus.store.refusals import Refusals
from nexus.store.schema import call_answers, sessions, tasks
from nexus.store.unit_of_work import Service
from oblivion.protocol import Task, TaskStatus
from service_world import NODE, ServiceWorld, update

P = ParamSpec("P")
R = TypeVar("R")
HOUR_S = 3600
SECONDS_OF_A_LEASE = 120


class Directly:
    """A unit of work that runs each command in the world's own transaction."""

    def __init__(self, world: ServiceWorld) -> None:
        self.recent = RecentEvents()
        self.refusals = Refusals()
        self._world = world

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._world.run(service, *args, **kwargs)

    read = glance = write

    def follow(self, topic: str, service: Callable[[Tx], object]) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def caretaker(world: ServiceWorld) -> Caretaker:
    """A node's caretaker; a test has it look when it wants to."""
    platform = Platform(
        store=Directly(world),
        bus=LocalBus(),
        tokens=Tokens(Keyring.of(b"k" * 32)),
        pepper=b"",
        clock=world.time,
        anchor=AuditAnchor(Path("never-used")),
        limits=world.limits,
        node_id=NODE,
    )
    return Caretaker(platform, Hub())


def held_task(world: ServiceWorld, *, timeout_seconds: int | None = None) -> Task:
    world.connect(world.agent("a"))
    task = world.task(timeout_seconds=timeout_seconds)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    return world.show(task.id)


@pytest.mark.parametrize("hours", [1, -1], ids=["forwards", "backwards"])
async def test_a_clock_that_jumps_takes_nothing_from_an_agent(
    world: ServiceWorld, caretaker: Caretaker, hours: int
) -> None:
    task = held_task(world, timeout_seconds=600)
    await caretaker.care()
    world.time.advance(seconds=hours * HOUR_S)
    await caretaker.care()
    assert world.show(task.id).status is TaskStatus.CLAIMED
    assert world.run(sessions_open) == 1


@pytest.mark.parametrize("hours", [1, -1], ids=["forwards", "backwards"])
async def test_after_a_jump_a_lost_agent_is_noticed_no_later_than_before(
    world: ServiceWorld, caretaker: Caretaker, hours: int
) -> None:
    task = held_task(world)
    await caretaker.care()
    world.time.advance(seconds=hours * HOUR_S)
    await caretaker.care()
    for _ in range(SECONDS_OF_A_LEASE):
        world.time.advance(seconds=1)
        await caretaker.care()
    assert world.show(task.id).status is TaskStatus.TODO
    assert world.run(sessions_open) == 0


def test_a_clock_set_back_leaves_no_task_resting_for_the_hour(world: ServiceWorld) -> None:
    task = held_task(world)
    world.run(watch.note, world.limits.lease_ms)
    failed = update(task, TaskStatus.FAILED, error="boom")
    world.run(attempts.update, task.claimed_by_agent_id or "", failed)
    world.time.advance(seconds=-HOUR_S)
    assert world.run(dispatch.lease_next, NODE, world.limits.lease_ms) == 0
    assert world.run(watch.note, world.limits.lease_ms)
    assert world.run(dispatch.lease_next, NODE, world.limits.lease_ms) == 1


def lease_until(world: ServiceWorld, task: Task) -> int:
    row = world.run(lambda tx: tx.one(tasks.select().where(tasks.c.id == task.id)))
    assert row is not None
    return int(row["lease_expires_at"])


def test_after_a_clock_was_set_back_an_agent_that_names_no_tasks_keeps_its_new_ones(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    ref = world.connect(agent)
    world.run(watch.note, world.limits.lease_ms)
    world.time.advance(seconds=-HOUR_S)
    world.run(watch.note, world.limits.lease_ms)
    task = world.task()
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    world.time.advance(seconds=30)
    world.run(handover.heartbeat, ref, None, world.limits)
    assert lease_until(world, task) == world.time() + world.limits.lease_ms


def test_a_clock_set_back_leaves_an_earlier_connections_tasks_to_run_out(
    world: ServiceWorld,
) -> None:
    task = held_task(world)
    world.run(watch.note, world.limits.lease_ms)
    world.time.advance(seconds=1)
    newer = world.connect(task.claimed_by_agent_id or "")
    world.time.advance(seconds=-HOUR_S)
    world.run(watch.note, world.limits.lease_ms)
    begun_anew = lease_until(world, task)
    world.time.advance(seconds=30)
    world.run(handover.heartbeat, newer, None, world.limits)
    assert lease_until(world, task) == begun_anew


def test_a_database_that_was_away_for_long_costs_no_agent_its_lease(world: ServiceWorld) -> None:
    task = held_task(world)
    world.run(watch.note, world.limits.lease_ms)
    world.time.advance(seconds=SECONDS_OF_A_LEASE + 1)
    assert world.run(watch.note, world.limits.lease_ms)
    assert world.run(attempts.expire) == 0
    assert world.show(task.id).status is TaskStatus.CLAIMED


def test_time_that_is_watched_counts(world: ServiceWorld) -> None:
    held_task(world)
    for _ in range(SECONDS_OF_A_LEASE):
        assert not world.run(watch.note, world.limits.lease_ms)
        world.time.advance(seconds=1)
    assert world.run(attempts.expire) == 1


def test_a_jump_is_what_no_two_looks_can_be_apart() -> None:
    assert not is_unwatched(NOTE_EVERY_MS)
    assert not is_unwatched(OUTAGE_MS - 1)
    assert is_unwatched(OUTAGE_MS)
    assert is_unwatched(-SET_BACK_MS)
    assert not is_set_back(-SET_BACK_MS + 1)
    assert not is_set_back(OUTAGE_MS)


def sessions_open(tx: Tx) -> int:
    row = tx.one(sa.select(sa.func.count().label("n")).where(sessions.c.closed_at.is_(None)))
    assert row is not None
    return int(row["n"])


async def test_whoever_takes_care_drops_what_is_past_its_time(
    world: ServiceWorld, caretaker: Caretaker
) -> None:
    world.run(calls.once, world.agent("a"), "id", lambda tx: {"acknowledged": True})
    world.time.advance(seconds=25 * HOUR_S)

    async def is_gone() -> bool:
        return not world.run(lambda tx: tx.rows(call_answers.select()))

    caring = asyncio.create_task(caretaker.run())
    await eventually(is_gone, what="the answer of yesterday's call is dropped")
    caring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caring
