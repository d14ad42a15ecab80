"""What an agent that was away is told of its assignments: which still hold, and which are over."""

from collections.abc import Callable

import pytest

from nexus.services import attempts, dispatch, handover, redelivery, tasks
from oblivion.protocol import ActiveTask, Task, TaskStatus
from service_world import NODE, ServiceWorld, done, update

Ending = Callable[[ServiceWorld, str, Task], object]


def lease(world: ServiceWorld) -> None:
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)


def late(world: ServiceWorld, agent_id: str) -> list[tuple[str, int, bool]]:
    rows = world.run(redelivery.pending, agent_id, after=0, limit=64)
    return [(row["type"], row["seq"], "withdrawn" in row) for row in rows]


def cancel(world: ServiceWorld, _agent: str, task: Task) -> None:
    world.run(tasks.cancel, world.admin, task.id, tasks.Reason())


def expire(world: ServiceWorld, _agent: str, _task: Task) -> None:
    world.time.advance(seconds=121)
    world.run(attempts.expire)


def complete(world: ServiceWorld, agent: str, task: Task) -> None:
    world.run(attempts.update, agent, done(task))


def hand_back(world: ServiceWorld, agent: str, task: Task) -> None:
    world.run(attempts.update, agent, update(task, TaskStatus.TODO))


@pytest.mark.parametrize(
    ("end", "follows"),
    [(cancel, ["task_cancelled"]), (expire, ["task_cancelled"]), (complete, []), (hand_back, [])],
)
def test_an_assignment_whose_attempt_is_over_is_withdrawn(
    world: ServiceWorld, end: Ending, follows: list[str]
) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    assert late(world, agent) == [("task_assigned", 1, False)]
    end(world, agent, task)
    assert late(world, agent) == [
        ("task_assigned", 1, True),
        *((type_, 2, False) for type_ in follows),
    ]


def test_of_two_assignments_of_one_task_the_later_holds(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    world.task()
    lease(world)
    world.time.advance(seconds=121)
    world.run(attempts.expire)
    lease(world)
    assert late(world, agent) == [
        ("task_assigned", 1, True),
        ("task_cancelled", 2, False),
        ("task_assigned", 3, False),
    ]


def test_what_another_agent_took_over_is_withdrawn_from_the_first(world: ServiceWorld) -> None:
    first, second = world.agent("a"), world.agent("b")
    ref = world.connect(first)
    task = world.task()
    lease(world)
    world.connect(second)
    world.announce(ref, accepts_tasks=False)
    expire(world, first, task)
    lease(world)
    assert [withdrawn for _, _, withdrawn in late(world, first)] == [True, False]
    assert late(world, second) == [("task_assigned", 1, False)]


def test_a_lease_that_ran_out_and_was_not_taken_yet_may_still_be_renewed(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    ref = world.connect(agent)
    task = world.task()
    lease(world)
    world.time.advance(seconds=121)
    assert late(world, agent) == [("task_assigned", 1, False)]
    world.run(handover.heartbeat, ref, [ActiveTask(task_id=task.id, attempt=1)], world.limits)
    assert world.run(attempts.expire) == 0
