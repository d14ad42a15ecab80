"""Transactions that overlap in every way: nobody waits in a circle, no number is skipped."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from eventually import eventually
from nexus.domain.errors import Conflict, LeaseLost, NotFound
from nexus.domain.limits import Limits
from nexus.services import (
    agents as agents_service,
)
from nexus.services import (
    attempts,
    calls,
    dispatch,
    events,
    gaps,
    handover,
    leases,
    sessions,
    tasks,
    threads,
)
from nexus.services.sessions import SessionRef
from nexus.store import Tx, UnitOfWork, open_database, open_unit_of_work
from nexus.store.schema import agent_events, agents
from nexus.store.schema import tasks as tasks_table
from oblivion.protocol import (
    ActiveTask,
    AgentReady,
    GapPayload,
    PostMessage,
    TaskStatus,
    TaskUpdate,
)
from service_world import NODE, ServiceWorld, done

ROUNDS = 40
WORKERS = 8
NAMES = ("a", "b", "c", "d")


class Crowd:
    """Agents, people and the clock, all at once."""

    def __init__(self, world: ServiceWorld, store: UnitOfWork, dice: random.Random) -> None:
        self._world = world
        self._store = store
        self._dice = dice
        self._refs: dict[str, SessionRef] = {}
        self._tasks: list[str] = []

    def seat(self) -> None:
        """Connect the agents, and have each hold something."""
        for name in NAMES:
            agent = self._world.agent(name)
            self._refs[agent] = self._world.connect(agent, max_concurrency=3)
        self._tasks = [self._world.task(f"T{number}").id for number in range(12)]
        self._store.follow(leases.DISPATCH, self._lease)

    def _lease(self, tx: Tx) -> None:
        dispatch.lease_next(tx, NODE, self._world.limits.lease_ms)

    async def act(self) -> None:
        """Do one thing; to be refused is no failure."""
        acts: list[Callable[[], Awaitable[object]]] = [
            self._post,
            self._say,
            self._cancel,
            self._retry,
            self._finish,
            self._finish,
            self._beat,
            lambda: self._store.write(attempts.expire),
            lambda: self._store.write(sessions.close_silent, 10**9),
            lambda: self._store.write(self._lease),
        ]
        try:
            await self._dice.choice(acts)()
        except (Conflict, NotFound):
            return

    def _some(self) -> tuple[str, SessionRef, str]:
        agent = self._dice.choice(sorted(self._refs))
        return agent, self._refs[agent], self._dice.choice(self._tasks)

    async def _post(self) -> None:
        agent, ref, task = self._some()
        words = " ".join(f"@{name}" for name in self._dice.sample(NAMES, 3))

        def post(tx: Tx) -> None:
            sessions.require_ready(tx, ref)
            threads.post_as_agent(tx, agent, PostMessage(task_id=task, text=words))

        await self._store.write(post)

    async def _say(self) -> None:
        words = " ".join(f"@{name}" for name in self._dice.sample(NAMES, 3))
        await self._store.write(
            threads.say, self._world.admin, self._some()[2], threads.Say(text=words)
        )

    async def _cancel(self) -> None:
        await self._store.write(tasks.cancel, self._world.admin, self._some()[2], tasks.Reason())

    async def _retry(self) -> None:
        await self._store.write(tasks.retry, self._world.admin, self._some()[2])

    async def _finish(self) -> None:
        agent, ref, task = self._some()

        def finish(tx: Tx) -> None:
            sessions.require_ready(tx, ref)
            held = tx.one(tasks_table.select().where(tasks_table.c.id == task))
            assert held is not None
            wish = TaskUpdate(task_id=task, attempt=max(held["attempt"], 1), status=TaskStatus.DONE)
            attempts.update(tx, agent, wish)

        await self._store.write(finish)

    async def _beat(self) -> None:
        _, ref, task = self._some()
        active = [ActiveTask(task_id=task, attempt=1)]
        await self._store.write(handover.heartbeat, ref, active, Limits())


@pytest.mark.timeout(120)
async def test_overlapping_commands_never_wait_in_a_circle_and_number_without_holes(
    postgres_url: str,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    world, database = ServiceWorld(postgres_url), open_database(postgres_url)
    store = open_unit_of_work(database, lambda _: None, world.time)
    crowd = Crowd(world, store, random.Random(seed))
    crowd.seat()

    async def worker() -> None:
        for _ in range(ROUNDS):
            await crowd.act()

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    await store.close()
    with database.writer.connect() as connection:
        told = connection.execute(
            sa.select(
                agents.c.event_seq,
                sa.func.count(agent_events.c.seq),
                sa.func.max(agent_events.c.seq),
            )
            .outerjoin_from(agents, agent_events)
            .group_by(agents.c.id)
        ).all()
        circles = connection.scalar(
            sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    database.close()
    world.database.close()
    assert all(head == number == (newest or 0) for head, number, newest in told)
    assert sum(number for _, number, _ in told) > ROUNDS
    assert circles == 0


PATIENCE_S = 20.0


@dataclass
class Halt:
    """Where a command stops within its transaction until the test lets it go on."""

    reached: int = 0
    _go_on: threading.Event = field(default_factory=threading.Event)

    def here(self) -> None:
        """Stop; the caller is a thread of the unit of work."""
        self.reached += 1
        assert self._go_on.wait(PATIENCE_S), "nobody let it go on"

    def lift(self) -> None:
        """Let all go on."""
        self._go_on.set()


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """A PostgreSQL with two commands in it at a time, each seen where it is."""

    world: ServiceWorld
    store: UnitOfWork
    halt: Halt = field(default_factory=Halt)

    def then_halt(self, service: Callable[..., Any], *args: Any) -> Callable[[Tx], Any]:
        """Return a command that stops between its work and its commit."""

        def run(tx: Tx) -> Any:
            result = service(tx, *args)
            self.halt.here()
            return result

        return run

    async def has_halted(self) -> None:
        """Wait until a command stands still."""

        async def halted() -> bool:
            return self.halt.reached > 0

        await eventually(halted, what="a command has halted")

    async def somebody_waits(self) -> bool:
        """Say whether a transaction waits for a lock of another."""
        with self.world.database.writer.connect() as connection:
            waiting = connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        return bool(waiting)

    async def lost_lease(self) -> tuple[str, str]:
        """Have an agent hold a task whose lease has just run out; return both ids."""
        agent = self.world.agent("a")
        self.world.connect(agent)
        task = self.world.task()
        await self.store.write(dispatch.lease_next, NODE, self.world.limits.lease_ms)
        self.world.time.advance(seconds=121)
        return agent, task.id


@pytest.fixture
async def meeting(postgres_url: str) -> AsyncIterator[Meeting]:
    """Two transactions that meet, on a database of their own."""
    world, database = ServiceWorld(postgres_url), open_database(postgres_url)
    store = open_unit_of_work(database, lambda _: None, world.time)
    meeting = Meeting(world=world, store=store)
    yield meeting
    meeting.halt.lift()
    await store.close()
    database.close()
    world.database.close()


async def test_the_reaper_passes_over_what_is_being_completed(meeting: Meeting) -> None:
    agent, task_id = await meeting.lost_lease()
    wish = done(meeting.world.show(task_id))
    completing = asyncio.create_task(
        meeting.store.write(meeting.then_halt(attempts.update, agent, wish))
    )
    await meeting.has_halted()
    async with asyncio.timeout(PATIENCE_S / 2):
        assert await meeting.store.write(attempts.expire) == 0
    meeting.halt.lift()
    await completing
    assert await meeting.store.write(attempts.expire) == 0
    assert meeting.world.show(task_id).status is TaskStatus.DONE
    assert [event["type"] for event in meeting.world.events_of(agent)] == ["task_assigned"]


async def test_a_completion_waits_for_the_reaper_and_is_refused(meeting: Meeting) -> None:
    agent, task_id = await meeting.lost_lease()
    wish = done(meeting.world.show(task_id))
    reaping = asyncio.create_task(meeting.store.write(meeting.then_halt(attempts.expire)))
    await meeting.has_halted()
    completing = asyncio.create_task(meeting.store.write(attempts.update, agent, wish))
    await eventually(meeting.somebody_waits, what="the completion waits")
    meeting.halt.lift()
    assert await reaping == 1
    with pytest.raises(LeaseLost):
        await completing
    assert meeting.world.show(task_id).status is TaskStatus.TODO
    told = meeting.world.events_of(agent)
    assert [event["type"] for event in told] == ["task_assigned", "task_cancelled"]


async def test_a_copy_of_a_call_waits_for_the_first_and_does_nothing_itself(
    meeting: Meeting,
) -> None:
    agent = meeting.world.agent("a")

    def act(_tx: Tx) -> dict[str, Any]:
        meeting.halt.here()
        return {"carriedOut": meeting.halt.reached}

    def call() -> Awaitable[dict[str, Any]]:
        return meeting.store.write(calls.once, agent, "call-1", act)

    first = asyncio.ensure_future(call())
    await meeting.has_halted()
    copy = asyncio.ensure_future(call())

    async def has_come_in() -> bool:
        return meeting.halt.reached > 1 or await meeting.somebody_waits()

    await eventually(has_come_in, what="the copy has come in")
    meeting.halt.lift()
    assert await first == await copy == {"carriedOut": 1}
    assert meeting.halt.reached == 1


async def test_what_is_acknowledged_as_it_would_be_dropped_is_no_gap(meeting: Meeting) -> None:
    agent = meeting.world.agent("a")
    ref = meeting.world.connect(agent)
    for _ in range(2):
        meeting.world.run(agents_service.wake, meeting.world.admin, agent, agents_service.Wake())
    speaking = asyncio.create_task(
        meeting.store.write(meeting.then_halt(sessions.require_ready, ref))
    )
    await meeting.has_halted()
    limits = Limits(most_unheard=0)
    dropping = asyncio.create_task(meeting.store.write(gaps.drop_unheard, limits))
    await eventually(meeting.somebody_waits, what="who drops waits for the session")
    await meeting.store.write(events.acknowledge, agent, [1, 2])
    meeting.halt.lift()
    await speaking
    assert await dropping == 0
    ready = AgentReady(version="1", acks=True)

    def come_back(tx: Tx) -> GapPayload | None:
        fresh = sessions.open_session(tx, agent, NODE)
        return gaps.owed(tx, agent, ready, handover.agent_ready(tx, fresh, ready, limits))

    assert await meeting.store.write(come_back) is None
