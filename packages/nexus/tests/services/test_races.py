"""Many at once, through the unit of work: one wins, the others are told, nothing is half done."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import pytest

from nexus.domain.errors import AlreadyClaimed, LeaseLost, Unavailable
from nexus.gateway.calls import CALLS, Context, carry_out
from nexus.services import attempts, events, handover, idempotency, leases, sessions, tasks, threads
from nexus.store import Tx, UnitOfWork
from nexus.store.opening import open_unit_of_work
from oblivion.protocol import AgentReady, ClaimTask, EventType, PostMessage, TaskStatus, TaskUpdate
from service_world import NODE, ServiceWorld

R = TypeVar("R")
AGENTS = 20
COPIES = 50


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What puts racers in order; its seed is printed when a race is lost."""
    given = request.config.getoption("--hypothesis-seed")
    seed = random.SystemRandom().randrange(2**32) if given is None else int(given)
    print(f"replay with --hypothesis-seed={seed}")
    return random.Random(seed)


@pytest.fixture
def runners(world: ServiceWorld) -> list[str]:
    """Twenty agents of the team."""
    return [world.agent(f"agent-{number}") for number in range(AGENTS)]


@pytest.fixture
async def store(world: ServiceWorld, runners: list[str]) -> AsyncIterator[UnitOfWork]:
    """The unit of work, once the team is there: it keeps the one connection that writes."""
    store = open_unit_of_work(world.database, lambda _topics: None, world.time)
    yield store
    await store.close()


async def make_tasks(world: ServiceWorld, store: UnitOfWork, number: int) -> list[str]:
    """Make tasks, no more at once than the store lets wait."""
    wish = tasks.CreateTask(project_id="race", title="A prize")
    made: list[str] = []
    while len(made) < number:
        some = min(number - len(made), 500)
        found = await asyncio.gather(
            *(store.write(tasks.create, world.admin, wish) for _ in range(some))
        )
        made += [task.id for task in found]
    return made


async def persist(act: Callable[[str], Awaitable[None]], wanted: str) -> None:
    """Ask again where the database had no time, as whoever calls does."""
    while True:
        try:
            return await act(wanted)
        except Unavailable:
            await asyncio.sleep(0.1)


async def claim_all(store: UnitOfWork, agent_id: str, order: list[str]) -> list[str]:
    """Claim task after task, a few at a time; return what was won."""
    won: list[str] = []
    todo = iter(order)

    async def claim(task_id: str) -> None:
        await store.write(leases.claim, agent_id, task_id, max_concurrency=None, lease_ms=120_000)

    async def keep_claiming() -> None:
        for task_id in todo:
            try:
                await persist(claim, task_id)
            except AlreadyClaimed:
                continue
            won.append(task_id)

    await asyncio.gather(*(keep_claiming() for _ in range(4)))
    return won


async def race(
    world: ServiceWorld, store: UnitOfWork, runners: list[str], chance: random.Random, prizes: int
) -> None:
    """Let every agent claim every task: each is one agent's, who is told so once."""
    task_ids = await make_tasks(world, store, prizes)
    orders = [chance.sample(task_ids, len(task_ids)) for _ in runners]
    won = await asyncio.gather(
        *(claim_all(store, agent, order) for agent, order in zip(runners, orders, strict=True))
    )
    assert Counter(chain.from_iterable(won)) == Counter(task_ids), "each is won once"
    for agent_id, prizes_won in zip(runners, won, strict=True):
        told = await store.read(events.pending, agent_id, after=0, limit=prizes)
        assert [event["seq"] for event in told] == list(range(1, len(prizes_won) + 1))
        assert {event["task_id"] for event in told} == set(prizes_won)
        assert all(event["payload"]["attempt"] == 1 for event in told)


@pytest.mark.timeout(120)
async def test_of_many_agents_that_claim_a_task_one_gets_it(
    world: ServiceWorld,
    store: UnitOfWork,
    runners: list[str],
    chance: random.Random,
    database_kind: str,
) -> None:
    """20,000 claims on SQLite, 4,000 on PostgreSQL, where they are truly at the same time."""
    await race(world, store, runners, chance, {"sqlite": 1_000, "postgres": 200}[database_kind])


@pytest.mark.soak
async def test_two_hundred_thousand_racing_claims_make_no_double_lease(
    world: ServiceWorld, store: UnitOfWork, runners: list[str], chance: random.Random
) -> None:
    await race(world, store, runners, chance, 10_000)


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_an_agent_that_claims_many_at_once_gets_no_more_than_it_has_room_for(
    world: ServiceWorld, store: UnitOfWork, runners: list[str], way: str
) -> None:
    ref = await store.write(open_and_announce, world, runners[0])
    context = Context(ref=ref, call_id=None, limits=world.limits)

    def claim(tx: Tx, task_id: str) -> object:
        if way == "socket":
            return carry_out(tx, CALLS[EventType.CLAIM_TASK], context, ClaimTask(task_id=task_id))
        slots = sessions.slots(tx, runners[0])
        return leases.claim(tx, runners[0], task_id, max_concurrency=slots, lease_ms=120_000)

    task_ids = await make_tasks(world, store, 20)
    claims = (store.write(claim, task_id) for task_id in task_ids)
    await asyncio.gather(*claims, return_exceptions=True)
    told = await store.read(events.pending, runners[0], after=0, limit=30)
    assert [event["type"] for event in told] == [EventType.TASK_ASSIGNED]


async def test_copies_of_one_keyed_request_make_one_task(
    world: ServiceWorld, store: UnitOfWork
) -> None:
    wish = tasks.CreateTask(project_id="work", title="Once")
    request = idempotency.KeyedRequest(client_id="admin", key="k", fingerprint="f")

    def create_once(tx: Tx) -> idempotency.Answer:
        def create() -> idempotency.Answer:
            made = tasks.create(tx, world.admin, wish)
            return idempotency.Answer(status=201, body={"id": made.id})

        return idempotency.once(tx, request, create)

    await one_effect(store, create_once, lambda answer: answer.body["id"])
    found = await store.read(tasks.search, world.admin.tenant_id, tasks.TaskFilter())
    assert len(found) == 1


async def test_copies_of_one_call_have_one_effect(
    world: ServiceWorld, store: UnitOfWork, runners: list[str]
) -> None:
    ref = await store.write(open_and_announce, world, runners[0])
    (task_id,) = await make_tasks(world, store, 1)
    context = Context(ref=ref, call_id="call-1", limits=world.limits)
    said = PostMessage(task_id=task_id, text="once")

    def post(tx: Tx) -> dict[str, Any]:
        return carry_out(tx, CALLS[EventType.POST_MESSAGE], context, said)

    await one_effect(store, post, lambda answer: str(answer["messageTs"]))
    thread = await store.read(threads.page, task_id, limit=10, after=0)
    assert [message.text for message in thread.messages] == ["once"]


@pytest.mark.timeout(120)
async def test_a_completion_that_races_the_reaper_wins_or_loses_whole(
    world: ServiceWorld, store: UnitOfWork, runners: list[str], chance: random.Random
) -> None:
    task_ids = await make_tasks(world, store, 60)
    for task_id in task_ids:
        await store.write(leases.claim, runners[0], task_id, max_concurrency=None, lease_ms=120_000)
    world.time.advance(seconds=121)
    acts: list[Callable[[], Awaitable[str | None]]] = [
        partial(complete, store, runners[0], task_id) for task_id in task_ids
    ]
    acts += [partial(reap, store) for _ in range(30)]
    chance.shuffle(acts)
    completed = set(await asyncio.gather(*(act() for act in acts))) - {None}
    for task_id in task_ids:
        task = await store.read(tasks.show, world.admin, task_id)
        assert task.status is (TaskStatus.DONE if task_id in completed else TaskStatus.TODO)
    told = await store.read(events.pending, runners[0], after=0, limit=1_000)
    lost = [event["task_id"] for event in told if event["type"] == EventType.TASK_CANCELLED]
    assert sorted(lost) == sorted(set(task_ids) - completed)


async def complete(store: UnitOfWork, agent_id: str, task_id: str) -> str | None:
    wish = TaskUpdate(task_id=task_id, attempt=1, status=TaskStatus.DONE)
    try:
        await store.write(attempts.update, agent_id, wish)
    except LeaseLost:
        return None
    return task_id


async def reap(store: UnitOfWork) -> None:
    await store.write(attempts.expire, 5)


async def one_effect(store: UnitOfWork, act: Callable[[Tx], R], what: Callable[[R], str]) -> None:
    answers = await asyncio.gather(*(store.write(act) for _ in range(COPIES)))
    assert len({what(answer) for answer in answers}) == 1


def open_and_announce(tx: Tx, world: ServiceWorld, agent_id: str) -> sessions.SessionRef:
    """Connect an agent with room for one task."""
    ref = sessions.open_session(tx, agent_id, NODE)
    handover.agent_ready(tx, ref, AgentReady(version="1", acks=True), world.limits)
    return ref
