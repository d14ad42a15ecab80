"""Transactions that overlap in every way: nobody waits in a circle, no number is skipped."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.limits import Limits
from nexus.services import attempts, dispatch, handover, leases, sessions, tasks, threads
from nexus.services.sessions import SessionRef
from nexus.store import Tx, UnitOfWork, open_database, open_unit_of_work
from nexus.store.schema import agent_events, agents
from nexus.store.schema import tasks as tasks_table
from oblivion.protocol import ActiveTask, PostMessage, TaskStatus, TaskUpdate
from service_world import NODE, ServiceWorld

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
