"""Whoever is cut off loses what it holds and nothing else, on both databases."""

from typing import Any

import pytest

from nexus.domain.errors import Stopped, Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.services import attempts, dispatch, identity, installation, revocations, stops
from nexus.services.sessions import require_ready
from nexus.store import Tx
from nexus.store.schema import tasks
from oblivion.protocol import EventType, Task, TaskStatus
from service_world import NODE, ServiceWorld, done, update


def held(world: ServiceWorld, agent_id: str, **wish: Any) -> Task:
    """Return a task that the agent, connected, holds."""
    world.connect(agent_id)
    task = world.task(**wish)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    return world.show(task.id)


def used_up(tx: Tx, task_id: str) -> int:
    found = tx.one(tasks.select().where(tasks.c.id == task_id))
    assert found is not None
    return int(found["attempts_used"])


def claims(agent_id: str, client_id: str, **more: Any) -> Principal:
    return Principal(tenant_id="?", client_id=client_id, role=Role.AGENT, agent_id=agent_id, **more)


@pytest.mark.parametrize("status", [TaskStatus.CLAIMED, TaskStatus.BLOCKED_ON_HUMAN])
def test_a_ban_costs_a_task_no_attempt_and_its_holder_the_lease(
    world: ServiceWorld, status: TaskStatus
) -> None:
    agent = world.agent("a")
    task = held(world, agent, max_attempts=1)
    if status is not TaskStatus.CLAIMED:
        world.run(attempts.update, agent, update(task, TaskStatus.IN_PROGRESS))
        world.run(attempts.update, agent, update(task, status))

    world.run(stops.ban, world.admin, "a", "misbehaves")

    after = world.show(task.id)
    assert (after.status, after.claimed_by_agent_id) == (TaskStatus.TODO, None)
    assert world.run(used_up, task.id) == 0
    told = [event["payload"] for event in world.events_of(agent)]
    assert told[-1] == {"taskId": task.id, "attempt": 1, "reason": "stopped"}
    with pytest.raises(Exception, match="attempt 1 of task"):
        world.run(attempts.update, agent, done(task))
    other = world.agent("b")
    world.connect(other)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    assert world.show(task.id).claimed_by_agent_id == other


def test_a_ban_that_is_repeated_changes_nothing_more(world: ServiceWorld) -> None:
    agent = world.agent("a")
    held(world, agent)
    world.run(stops.ban, world.admin, "a")
    told = len(world.events_of(agent))

    world.run(stops.ban, world.admin, "a")

    assert len(world.events_of(agent)) == told


def test_a_stop_takes_every_task_and_tells_every_holder(world: ServiceWorld) -> None:
    agents = [world.agent(name) for name in "abc"]
    taken = [held(world, agent) for agent in agents]
    ref = world.connect(agents[0])

    halt = world.run(stops.stop_all, world.admin)

    assert (halt.sessions, halt.tasks) == (3, 3)
    assert {world.show(task.id).status for task in taken} == {TaskStatus.TODO}
    for agent in agents:
        last = world.events_of(agent)[-1]
        assert (last["type"], last["payload"]["reason"]) == (EventType.TASK_CANCELLED, "stopped")
    with pytest.raises(Exception, match="session has ended"):
        world.run(require_ready, ref)
    with pytest.raises(Stopped):
        world.run(identity.principal, claims(agents[0], "a"))
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    assert {world.show(task.id).status for task in taken} == {TaskStatus.TODO}
    world.run(stops.resume_all, world.admin)
    assert world.run(identity.principal, claims(agents[0], "a")).agent_id == agents[0]


def test_what_came_in_as_all_were_stopped_is_found_and_cut_off(world: ServiceWorld) -> None:
    agent = world.agent("a")
    assert world.run(stops.late, NODE) == []
    world.run(stops.stop_all, world.admin)
    task = held(world, agent)  # as another node's transaction may, that began before
    assert task.status is TaskStatus.CLAIMED

    assert world.run(stops.late, NODE) == [agent]
    assert world.run(stops.interrupt, [agent]) == 1

    assert world.show(task.id).status is TaskStatus.TODO
    assert world.run(stops.late, NODE) == []


def test_what_came_in_as_it_was_banned_is_found_for_a_minute(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.run(stops.ban, world.admin, "a")
    world.connect(agent)
    assert world.run(stops.late, NODE) == [agent]
    assert world.run(stops.late, "another-node") == []
    world.time.advance(seconds=61)
    assert world.run(stops.late, NODE) == []


def test_a_token_allows_no_more_than_its_scope_and_no_more_than_its_client_may_now(
    world: ServiceWorld,
) -> None:
    world.run(installation.put_admin, world.admin.tenant_id, "boss", "hash")
    boss = Principal(tenant_id="?", client_id="boss", role=Role.ADMIN)
    looking = Principal(tenant_id="?", client_id="boss", role=Role.VIEWER)
    assert world.run(identity.principal, boss).role is Role.ADMIN
    assert world.run(identity.principal, looking).role is Role.VIEWER
    agent = world.agent("a")
    promoted = Principal(tenant_id="?", client_id="a", role=Role.ADMIN, agent_id=agent)
    assert world.run(identity.principal, promoted).role is Role.AGENT


def test_an_epoch_voids_what_came_before_it_and_forgets_single_revocations(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    world.run(revocations.void_all, "a")
    with pytest.raises(Unauthenticated, match="revoked"):
        world.run(identity.principal, claims(agent, "a"))
    assert world.run(identity.principal, claims(agent, "a", epoch=1)).epoch == 1
