"""Leases: who gets them, how they are fenced, how they end."""

import pytest
import sqlalchemy as sa

from nexus.domain.errors import (
    AlreadyClaimed,
    Conflict,
    Invalid,
    LeaseLost,
    NoFreeSlot,
    NotFound,
)
from nexus.services import (
    attempts,
    dispatch,
    events,
    groups,
    handover,
    installation,
    leases,
    projects,
    sessions,
    tasks,
)
from nexus.store import Tx
from nexus.store.schema import agents
from nexus.store.schema import tasks as tasks_table
from oblivion.protocol import MAX_FRAME_BYTES, ActiveTask, TaskStatus
from service_world import NODE, ServiceWorld, done, update


def lease(world: ServiceWorld) -> int:
    return world.run(dispatch.lease_next, NODE, world.limits.lease_ms)


def test_a_waiting_task_is_leased_to_a_ready_agent_and_told_to_it(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task("Do it", priority=1)
    assert lease(world) == 1
    (event,) = world.events_of(agent)
    assert event["type"] == "task_assigned"
    assert event["payload"]["title"] == "Do it"
    assert event["payload"]["attempt"] == 1
    assert world.show(task.id).status is TaskStatus.CLAIMED
    assert f"agent:{agent}" in world.woken


def test_an_agent_gets_no_more_than_it_announced(world: ServiceWorld) -> None:
    world.connect(world.agent("a"), max_concurrency=2)
    for _ in range(3):
        world.task()
    assert lease(world) == 2
    assert lease(world) == 0


def test_urgent_tasks_go_first_then_the_oldest(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent, max_concurrency=3)
    low = world.task("low", priority=4)
    world.time.advance(seconds=1)
    old = world.task("old")
    world.time.advance(seconds=1)
    new = world.task("new")
    world.time.advance(seconds=1)
    urgent = world.task("urgent", priority=1)
    lease(world)
    told = [event["payload"]["taskId"] for event in world.events_of(agent)]
    assert told == [urgent.id, old.id, new.id]
    assert world.show(low.id).status is TaskStatus.TODO


@pytest.mark.parametrize("announcement", [{"accepts_tasks": False}, {"capabilities": ["rust"]}])
def test_an_agent_that_drains_or_lacks_a_capability_gets_nothing(
    world: ServiceWorld, announcement: dict[str, object]
) -> None:
    world.connect(world.agent("a"), **announcement)
    world.task(required_capabilities=["python"])
    assert lease(world) == 0


def test_capabilities_of_the_profile_and_of_the_announcement_add_up(world: ServiceWorld) -> None:
    world.connect(world.agent("a", capabilities=("python",)), capabilities=["rust"])
    world.task(required_capabilities=["python", "rust"])
    assert lease(world) == 1


def test_far_more_unfitting_tasks_than_a_page_do_not_hide_a_fitting_one(
    world: ServiceWorld,
) -> None:
    world.connect(world.agent("a"))
    for _ in range(450):
        world.task(required_capabilities=["rust"])
    fitting = world.task()
    assert lease(world) == 1
    assert world.show(fitting.id).status is TaskStatus.CLAIMED


def test_tasks_that_fit_few_do_not_let_another_project_overtake_those_behind_them(
    world: ServiceWorld,
) -> None:
    """As many tasks of a project are looked at as there is room for; the rest may come first."""
    plain = world.agent("plain")
    world.connect(plain)
    world.connect(world.agent("painter", capabilities=("draw",)))
    world.project("later")
    for _ in range(2):
        world.task(required_capabilities=["draw"])
    older = world.task()
    world.time.advance(seconds=1)
    younger = world.task(project="later")
    assert lease(world) == 2
    assert world.show(older.id).claimed_by_agent_id == plain
    assert world.show(younger.id).status is TaskStatus.TODO


def test_a_claim_wins_once_and_the_second_agent_is_told_who_holds_it(world: ServiceWorld) -> None:
    first, second = world.agent("a"), world.agent("b")
    task = world.task(project="race")
    claim = {"max_concurrency": 1, "lease_ms": 1000}
    won = world.run(leases.claim, first, task.id, **claim)
    assert (won.success, won.attempt) == (True, 1)
    assert world.run(leases.claim, first, task.id, **claim) == won
    with pytest.raises(AlreadyClaimed, match="CLAIMED"):
        world.run(leases.claim, second, task.id, **claim)


def test_a_claim_beyond_the_announced_slots_is_refused(world: ServiceWorld) -> None:
    agent = world.agent("a")
    one, two = world.task(project="race"), world.task(project="race")
    world.run(leases.claim, agent, one.id, max_concurrency=1, lease_ms=1000)
    with pytest.raises(NoFreeSlot):
        world.run(leases.claim, agent, two.id, max_concurrency=1, lease_ms=1000)


def test_an_agent_outside_the_group_cannot_see_the_task(world: ServiceWorld) -> None:
    task = world.task(project="race")
    with pytest.raises(NotFound):
        world.run(leases.claim, "stranger", task.id, max_concurrency=1, lease_ms=1000)


def test_a_lease_that_ran_out_goes_to_another_agent_with_the_next_attempt(
    world: ServiceWorld,
) -> None:
    lost, other = world.agent("lost"), world.agent("other")
    ref = world.connect(lost)
    task = world.task()
    lease(world)
    world.run(sessions.close_session, ref, "gone")
    world.connect(other)
    world.time.advance(seconds=121)
    assert world.run(attempts.expire) == 1
    assert lease(world) == 1
    after = world.show(task.id)
    assert (after.claimed_by_agent_id, after.attempt) == (other, 2)
    assert [event["type"] for event in world.events_of(lost)] == ["task_assigned", "task_cancelled"]
    with pytest.raises(LeaseLost, match="attempt 1"):
        world.run(attempts.update, lost, done(task, attempt=1))
    world.run(attempts.update, other, done(task, attempt=2))


def test_leases_and_deadlines_last_to_their_last_millisecond(world: ServiceWorld) -> None:
    world.connect(world.agent("a"), max_concurrency=2)
    timed, held = world.task("timed", timeout_seconds=10), world.task("held")
    lease(world)
    lease_s = world.limits.lease_ms / 1000
    for passes_s, ended in ((9.999, 0), (0.001, 1), (lease_s - 10.001, 0), (0.001, 1)):
        world.time.advance(seconds=passes_s)
        assert world.run(attempts.expire) == ended
    assert world.show(timed.id).error == "the attempt took longer than 10 s"
    assert world.show(held.id).error == "the agent was lost: its lease ran out"


def test_a_heartbeat_keeps_only_the_leases_it_names(world: ServiceWorld) -> None:
    agent = world.agent("a")
    ref = world.connect(agent, max_concurrency=2)
    kept, dropped = world.task("kept"), world.task("dropped")
    lease(world)
    world.time.advance(seconds=60)
    world.run(handover.heartbeat, ref, [ActiveTask(task_id=kept.id, attempt=1)], world.limits)
    world.time.advance(seconds=61)
    assert world.run(attempts.expire) == 1
    assert world.show(kept.id).status is TaskStatus.CLAIMED
    assert world.show(dropped.id).status is TaskStatus.TODO


def test_a_heartbeat_prolongs_neither_a_later_attempt_nor_another_agents_lease(
    world: ServiceWorld,
) -> None:
    ref, other = world.connect(world.agent("a")), world.connect(world.agent("b"))
    task = world.task()
    lease(world)
    world.time.advance(seconds=121)
    world.run(attempts.expire)
    lease(world)
    again = world.show(task.id)
    assert again.attempt == 2
    world.time.advance(seconds=60)
    holder, stranger = (ref, other) if again.claimed_by_agent_id == ref.agent_id else (other, ref)
    for who, attempt in ((holder, 1), (stranger, 2)):
        named = [ActiveTask(task_id=task.id, attempt=attempt)]
        world.run(handover.heartbeat, who, named, world.limits)
    world.time.advance(seconds=61)
    assert world.run(attempts.expire) == 1


def test_a_failed_attempt_is_tried_again_after_a_pause_and_ends_readably(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(max_attempts=2)
    for attempt in (1, 2):
        assert lease(world) == 1
        failed = update(task, TaskStatus.FAILED, attempt, error=f"ValueError: {attempt}")
        world.run(attempts.update, agent, failed)
        assert lease(world) == 0
        world.time.advance(seconds=5)
    after = world.show(task.id)
    assert (after.status, after.error) == (TaskStatus.FAILED, "ValueError: 2")


def test_attempts_that_fail_together_are_not_tried_again_together(world: ServiceWorld) -> None:
    """So that what brought them down is not met by all of them in the same moment again."""
    agent = world.agent("a")
    world.connect(agent, max_concurrency=20)
    made = [world.task() for _ in range(20)]
    assert lease(world) == 20
    for task in made:
        world.run(attempts.update, agent, update(task, TaskStatus.FAILED, error="down"))
    resting = sa.select(tasks_table.c.not_before).where(tasks_table.c.attempts_used == 1)
    pauses = [row["not_before"] - world.time.now for row in world.run(lambda tx: tx.rows(resting))]
    assert len(pauses) == 20
    assert len(set(pauses)) > 1
    assert all(1_000 <= pause <= 1_250 for pause in pauses)


def test_a_task_that_kills_every_agent_ends_readably_and_alone(world: ServiceWorld) -> None:
    poison = world.task("Poison", max_attempts=2, priority=1)
    other = world.task("Other")
    for life in ("a", "b"):
        world.connect(world.agent(life))
        lease(world)
        assert world.show(poison.id).claimed_by_agent_id is not None
        world.time.advance(seconds=121)
        world.run(attempts.expire)
    ended = world.show(poison.id)
    assert ended.status is TaskStatus.FAILED
    assert ended.error == "the agent was lost: its lease ran out"
    lease(world)
    assert world.show(other.id).status is TaskStatus.CLAIMED


def test_a_task_handed_back_uses_up_no_attempt(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(max_attempts=1)
    lease(world)
    world.run(attempts.update, agent, update(task, TaskStatus.TODO))
    assert world.show(task.id).status is TaskStatus.TODO
    assert lease(world) == 0, "it goes round in circles"
    world.time.advance(seconds=1)
    lease(world)
    world.run(attempts.update, agent, done(task, attempt=2, result={"ok": True}))
    assert world.show(task.id).result == {"ok": True}


def test_a_deadline_ends_the_attempt_and_tells_the_agent(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(timeout_seconds=10, max_attempts=1)
    lease(world)
    world.time.advance(seconds=11)
    world.run(attempts.expire)
    assert world.show(task.id).error == "the attempt took longer than 10 s"
    cancelled = world.events_of(agent)[-1]
    assert cancelled["payload"]["reason"] == "deadline"


def test_a_late_completion_never_overwrites_what_the_reaper_did(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(max_attempts=1)
    lease(world)
    world.time.advance(seconds=121)
    world.run(attempts.expire)
    with pytest.raises(LeaseLost):
        world.run(attempts.update, agent, done(task))
    assert world.show(task.id).status is TaskStatus.FAILED


def test_a_restarted_process_gives_back_what_its_earlier_life_held(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent, instance_id="one")
    task = world.task()
    lease(world)
    world.run(events.acknowledge, agent, [1])
    world.connect(agent, instance_id="two")
    assert world.show(task.id).status is TaskStatus.TODO
    assert lease(world) == 1
    assert world.show(task.id).attempt == 2


def test_what_never_reached_the_earlier_life_of_a_process_is_left_to_the_new_one(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    world.connect(agent, instance_id="one")
    task = world.task()
    lease(world)
    world.connect(agent, instance_id="two")
    after = world.show(task.id)
    assert (after.status, after.attempt) == (TaskStatus.CLAIMED, 1)
    assert after.claimed_by_agent_id == agent


def test_a_reconnect_of_the_same_process_keeps_its_leases(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent, instance_id="one")
    task = world.task()
    lease(world)
    world.run(events.acknowledge, agent, [1])
    world.time.advance(seconds=60)
    ref = world.run(sessions.open_session, agent, NODE)
    active = [ActiveTask(task_id=task.id, attempt=1), ActiveTask(task_id="gone", attempt=4)]
    ack = world.announce(ref, instance_id="one", active=active)
    assert ack.lost == ["gone"]
    world.time.advance(seconds=61)
    assert world.run(attempts.expire) == 0
    assert world.show(task.id).status is TaskStatus.CLAIMED


def test_a_person_cancels_a_running_task_and_its_agent_is_told(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    world.run(tasks.cancel, world.admin, task.id, tasks.Reason(reason="not needed"))
    after = world.show(task.id)
    assert (after.status, after.error) == (TaskStatus.CANCELLED, "not needed")
    assert world.events_of(agent)[-1]["payload"]["reason"] == "cancelled"
    with pytest.raises(LeaseLost):
        world.run(attempts.update, agent, done(task))


def test_a_retry_by_a_person_gives_a_fresh_set_of_attempts(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(max_attempts=1)
    lease(world)
    world.run(attempts.update, agent, update(task, TaskStatus.FAILED, error="x"))
    assert world.run(tasks.retry, world.admin, task.id).status is TaskStatus.TODO
    lease(world)
    world.run(attempts.update, agent, done(task, attempt=2))
    assert world.show(task.id).status is TaskStatus.DONE


def test_the_same_agent_cannot_write_under_its_own_older_attempt(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    world.time.advance(seconds=121)
    world.run(attempts.expire)
    lease(world)
    with pytest.raises(LeaseLost, match="attempt 1"):
        world.run(attempts.update, agent, done(task, attempt=1))
    world.run(attempts.update, agent, done(task, attempt=2))


def test_of_two_grants_of_one_reading_only_the_first_counts(world: ServiceWorld) -> None:
    first, second = world.agent("a"), world.agent("b")
    task = world.task()
    row = world.run(tasks.find, world.admin, task.id)
    assert world.run(leases.grant, row, first, 1000) is not None
    assert world.run(leases.grant, row, second, 1000) is None
    assert world.show(task.id).claimed_by_agent_id == first


def test_a_grant_of_what_was_cancelled_since_it_was_read_is_none(world: ServiceWorld) -> None:
    """A cancellation leaves the attempt as it was: the status tells."""
    agent = world.agent("a")
    task = world.task()
    row = world.run(tasks.find, world.admin, task.id)
    world.run(tasks.cancel, world.admin, task.id, tasks.Reason())
    assert world.run(leases.grant, row, agent, 1000) is None
    assert world.show(task.id).status is TaskStatus.CANCELLED
    assert not world.events_of(agent)


def test_a_grant_of_what_was_handed_back_since_it_was_read_is_none(world: ServiceWorld) -> None:
    """It waits again; with the attempt that was read, a number would be given out twice."""
    first, second = world.agent("a"), world.agent("b")
    task = world.task()
    row = world.run(tasks.find, world.admin, task.id)
    world.run(leases.grant, row, first, 120_000)
    world.run(attempts.update, first, update(task, TaskStatus.TODO))
    assert world.run(leases.grant, row, second, 1000) is None
    assert not world.events_of(second)


def test_a_move_under_an_attempt_that_another_followed_changes_nothing(
    world: ServiceWorld,
) -> None:
    """The task is claimed as it was read, and yet it is another claim."""
    world.connect(world.agent("a"), max_concurrency=2)
    task = world.task()
    lease(world)
    row = world.run(tasks.find, world.admin, task.id)
    world.time.advance(seconds=121)
    world.run(attempts.expire)
    lease(world)
    with pytest.raises(LeaseLost, match="moved on"):
        world.run(attempts.move, row, {"status": TaskStatus.DONE})
    now = world.show(task.id)
    assert (now.status, now.attempt) == (TaskStatus.CLAIMED, 2)


def test_a_move_of_what_has_moved_on_changes_nothing(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    row = world.run(tasks.find, world.admin, task.id)
    world.run(attempts.update, agent, done(task))
    with pytest.raises(LeaseLost, match="moved on"):
        world.run(attempts.move, row, {"status": TaskStatus.TODO})
    assert world.show(task.id).status is TaskStatus.DONE


@pytest.mark.parametrize("change", [{"approval_status": "PENDING"}, {"disabled_at": 1}])
def test_an_agent_that_may_not_work_gets_nothing(
    world: ServiceWorld, change: dict[str, object]
) -> None:
    agent = world.agent("a")
    world.connect(agent)
    world.task()
    world.run(lambda tx: tx.change(agents.update().where(agents.c.id == agent).values(change)))
    assert lease(world) == 0


def test_a_failure_that_no_retry_can_mend_ends_the_task_at_once(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task(max_attempts=5)
    lease(world)
    failed = update(task, TaskStatus.FAILED, error="no such file", retry=False)
    world.run(attempts.update, agent, failed)
    assert world.show(task.id).status is TaskStatus.FAILED


def test_a_claim_needs_the_capabilities_and_an_open_project(world: ServiceWorld) -> None:
    agent = world.agent("a")
    hard = world.task(project="race", required_capabilities=["rust"])
    easy = world.task(project="race")
    with pytest.raises(Conflict, match="requires rust"):
        world.run(leases.claim, agent, hard.id, max_concurrency=1, lease_ms=1000)
    assert [one.task_id for one in world.run(tasks.available, agent)] == [easy.id]
    world.run(projects.archive, world.admin, "race")
    with pytest.raises(Conflict, match="archived"):
        world.run(leases.claim, agent, easy.id, max_concurrency=1, lease_ms=1000)
    assert world.run(tasks.available, agent) == []


@pytest.mark.parametrize("project", ["work", "race"])
def test_any_number_of_unfitting_tasks_hides_no_fitting_one(
    world: ServiceWorld, project: str
) -> None:
    agent = world.agent("a")
    world.connect(agent)
    with world.database.writer.begin() as connection:
        tx = Tx(connection=connection, now=world.time())
        wish = tasks.CreateTask(project_id=project, title="x", required_capabilities=["rust"])
        for _ in range(1000):
            tasks.create(tx, world.admin, wish)
    fitting = world.task(project=project)
    assert [one.task_id for one in world.run(tasks.available, agent)] == [fitting.id]
    if project == "race":
        waiting = world.run(dispatch.market, NODE).waiting
        assert [task.task_id for task in waiting if task.agents] == [fitting.id]
    else:
        assert lease(world) == 1


def test_a_task_too_large_for_a_frame_is_refused_at_once(world: ServiceWorld) -> None:
    with pytest.raises(Invalid, match="shorten"):
        world.task(metadata={"blob": "x" * MAX_FRAME_BYTES})
    task = world.task()
    edit = tasks.EditTask(metadata={"blob": "x" * MAX_FRAME_BYTES})
    with pytest.raises(Invalid, match="shorten"):
        world.run(tasks.edit, world.admin, task.id, edit)
    assert world.show(task.id).metadata == {}


def test_a_client_that_names_nothing_keeps_only_what_it_got_in_this_session(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    world.connect(agent, max_concurrency=2)
    crashed = world.task("held by the process that crashed")
    lease(world)
    world.time.advance(seconds=1)
    ref = world.connect(agent, max_concurrency=2)
    going_on = world.task("going on")
    lease(world)
    for _ in range(3):
        world.time.advance(seconds=50)
        world.run(handover.heartbeat, ref, None, world.limits)
    world.run(attempts.expire)
    assert world.show(crashed.id).status is TaskStatus.TODO
    assert world.show(going_on.id).status is TaskStatus.CLAIMED


def test_what_the_agent_ended_itself_is_not_lost_though_the_answer_was(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    world.connect(agent, instance_id="one")
    task = world.task()
    lease(world)
    world.run(attempts.update, agent, done(task))
    ref = world.run(sessions.open_session, agent, NODE)
    active = [ActiveTask(task_id=task.id, attempt=1)]
    assert world.announce(ref, instance_id="one", active=active).lost == []


def test_a_restart_of_nexus_takes_no_lease_away(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    world.time.advance(seconds=3600)
    world.run(installation.start_alone, world.limits.lease_ms)
    assert world.run(attempts.expire) == 0
    assert world.show(task.id).status is TaskStatus.CLAIMED


def test_a_task_of_another_group_does_not_exist_for_an_agent(world: ServiceWorld) -> None:
    task = world.task()
    with pytest.raises(NotFound):
        world.run(attempts.update, "stranger", done(task))


def test_an_agent_that_left_the_group_may_finish_what_it_holds(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    task = world.task()
    lease(world)
    world.run(groups.remove_member, world.admin, "team", "a")
    world.run(attempts.update, agent, done(task))
    assert world.show(task.id).status is TaskStatus.DONE
