"""What becomes of a call: judged before anything runs, with one effect and one answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nexus.domain.errors import Conflict, Invalid, NotFound
from nexus.domain.tool_policy import Effect, Rule
from nexus.services import (
    approvals,
    attempts,
    leases,
    retention,
    stops,
    threads,
    tool_calls,
    tool_runs,
    views,
)
from nexus.services.approvals import Approve
from nexus.services.groups import CreateGroup, create
from nexus.store import Tx
from nexus.store.schema import tasks
from nexus.store.tool_tables import tool_calls as table
from oblivion.protocol import EventType, TaskStatus, ToolCode, ToolOffer, ToolRequest
from service_world import update
from tool_world import ToolWorld, from_file


def codes(world: ToolWorld, agent_id: str) -> list[str | None]:
    return [result.get("code") for result in world.results(agent_id)]


def test_nothing_is_allowed_without_a_rule(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.request(world.connect(agent))
    assert world.look() == []
    (result,) = world.results(agent)
    assert (result["success"], result["code"]) == (False, "not_allowed")
    assert result["error"] == "no rule allows this agent echo.say; an admin can allow it"


def test_what_a_rule_allows_is_begun_once_and_its_result_told(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("echo.*")
    call_id = world.request(world.connect(agent))
    (start,) = world.look()
    assert (start.call_id, start.params, start.timeout_ms) == (call_id, {"text": "hi"}, 60_000)
    assert world.look() == []
    world.end(call_id, {"said": "hi"})
    world.end(call_id, {"said": "something else"})
    (result,) = world.results(agent)
    assert result == {
        "requestId": "r1",
        "success": True,
        "result": {"said": "hi"},
        "untrusted": True,
    }


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"groups": ["team"]}, True),
        ({"groups": ["other"]}, False),
        ({"agents": ["a"]}, True),
        ({"agents": ["b*"]}, False),
        ({"params": {"text": "h?"}}, True),
        ({"params": {"text": "bye"}}, False),
        ({"params": {"to": "*"}}, False),
        ({"max_param_bytes": 5}, False),
        ({"effect": Effect.DENY}, False),
    ],
)
def test_a_rule_holds_for_those_and_that_it_names(
    world: ToolWorld, rule: dict[str, Any], allowed: bool
) -> None:
    world.run(create, world.admin, CreateGroup(name="Other", slug="other"))
    world.allow("echo.say", **rule)
    world.request(world.connect(world.agent("a")))
    assert bool(world.look()) is allowed


def test_a_denial_wins_over_whatever_allows_it(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    world.allow("echo.*", effect=Effect.DENY, name="no echo")
    world.request(world.connect(agent))
    assert world.look() == []
    assert world.results(agent)[0]["error"] == "echo.say is denied by the rule 'no echo'"


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("nope.say", {}, "unknown_tool"),
        ("echo.nope", {}, "unknown_action"),
        ("echo.say", {}, "invalid_params"),
        ("echo.say", {"text": 7}, "invalid_params"),
        ("echo.say", {"text": "hi", "more": 1}, "invalid_params"),
    ],
)
def test_what_cannot_be_done_is_told_and_never_begun(
    world: ToolWorld, action: str, params: Any, code: str
) -> None:
    agent = world.agent("a")
    world.allow("*")
    world.request(world.connect(agent), action, params)
    assert world.look() == []
    assert codes(world, agent) == [code]


def test_a_refusal_repeats_no_value_of_the_parameters(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*", params={"text": "public/*"})
    world.request(world.connect(agent), params={"text": "hush-hush"})
    world.request(world.connect(agent), params={"to": "hush-hush"}, request_id="r2")
    world.look()
    errors = [result["error"] for result in world.results(agent)]
    assert len(errors) == 2
    assert "hush" not in str(errors)


def test_the_same_request_is_one_call_over_reconnects(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    first = world.request(world.connect(agent))
    assert world.request(world.connect(agent)) == first
    assert len(world.look()) == 1
    assert world.request(world.connect(agent)) == first
    assert world.look() == []
    world.end(first, 1)
    assert world.request(world.connect(agent)) == first
    assert [result["result"] for result in world.results(agent)] == [1, 1]


def test_the_id_of_a_request_names_no_other_one(world: ToolWorld) -> None:
    ref = world.connect(world.agent("a"))
    world.request(ref)
    with pytest.raises(Conflict, match="came before with another request"):
        world.request(ref, params={"text": "other"})


def test_names_that_no_column_holds_are_refused(world: ToolWorld) -> None:
    ref = world.connect(world.agent("a"))
    for name in ("request_id", "tool", "action"):
        fields: dict[str, Any] = {"request_id": "r", "tool": "t", "action": "a", name: "x" * 129}
        with pytest.raises(Invalid, match=name):
            world.run(tool_calls.receive, ref, ToolRequest(**fields))


def test_calls_a_minute_and_calls_at_once_have_their_bound(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("echo.say", per_minute=2, name="slowly")
    world.allow("echo.read", at_once=1, name="one by one")
    ref = world.connect(agent)
    for number in range(3):
        world.request(ref, request_id=f"m{number}")
    assert len(world.look()) == 2
    assert codes(world, agent) == ["rate_limited"]
    world.time.advance(seconds=61)
    world.request(ref, request_id="later")
    assert len(world.look()) == 1
    world.request(ref, "echo.read", request_id="o1")
    world.request(ref, "echo.read", request_id="o2")
    (first,) = world.look()
    world.end(first.call_id)
    world.request(ref, "echo.read", request_id="o3")
    assert len(world.look()) == 1


def test_the_limits_of_one_agent_leave_the_others_alone(world: ToolWorld) -> None:
    world.allow("*", per_minute=1)
    for name in ("a", "b"):
        world.request(world.connect(world.agent(name)))
    assert len(world.look()) == 2


def test_a_tool_gets_no_more_time_than_the_rule_and_the_caller_give(world: ToolWorld) -> None:
    world.allow("echo.say", timeout_seconds=5)
    world.allow("echo.read", timeout_seconds=50)
    ref = world.connect(world.agent("a"))
    world.request(ref, timeout_ms=30_000, request_id="r1")
    world.request(ref, "echo.read", timeout_ms=30_000, request_id="r2")
    given = {start.action.action: start.timeout_ms for start in world.look()}
    assert given == {"say": 5_000, "read": 30_000}


def test_a_call_that_lay_too_long_is_not_begun(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    world.request(world.connect(agent), timeout_ms=1_000)
    world.time.advance(seconds=1)
    assert world.look() == []
    assert codes(world, agent) == ["timed_out"]


def test_who_was_stopped_meanwhile_has_nothing_done_any_more(world: ToolWorld) -> None:
    world.allow("*")
    banned, stopped = world.agent("banned"), world.agent("stopped")
    world.request(world.connect(banned))
    world.run(stops.ban, world.admin, "banned")
    world.request(world.connect(stopped))
    world.run(stops.stop_all, world.admin, None)
    assert world.look() == []
    assert (codes(world, banned), codes(world, stopped)) == (["agents_stopped"],) * 2


# --- approval


def asked(world: ToolWorld, **more: Any) -> tuple[str, str]:
    """Have a call wait for approval; return the agent's id and the call's."""
    agent = world.agent("a")
    world.allow("*", requires_approval=True, **more)
    call_id = world.request(world.connect(agent))
    assert world.look() == []
    return agent, call_id


def test_a_call_that_needs_approval_waits_and_its_agent_is_told(world: ToolWorld) -> None:
    agent, call_id = asked(world, approval_seconds=600)
    (told,) = world.told(agent, EventType.TOOL_WAITING)
    assert (told["requestId"], told["approvalId"], told["expiresInMs"]) == ("r1", call_id, 600_000)
    (waiting,) = world.run(approvals.pending, world.admin.tenant_id, limit=10, cursor=None)
    assert tool_calls.view(waiting, exact=True).params == {"text": "hi"}
    assert world.results(agent) == []


def test_an_approved_call_is_made_once_and_names_who_approved(world: ToolWorld) -> None:
    _, call_id = asked(world)
    world.decide(call_id, approve=True, reason="go on")
    assert len(world.look()) == 1
    call = world.call(call_id)
    assert (call["decided_by"], call["reason"], call["state"]) == ("ann", "go on", "running")
    with pytest.raises(Conflict, match="ann has approved the call already"):
        world.decide(call_id, approve=True)
    assert world.look() == []


def test_a_denied_call_tells_who_and_why(world: ToolWorld) -> None:
    agent, call_id = asked(world)
    world.decide(call_id, approve=False, reason="not on a Friday")
    assert world.look() == []
    (result,) = world.results(agent)
    assert (result["code"], result["error"]) == ("denied", "ann denied the call: not on a Friday")
    with pytest.raises(Conflict, match="ann has denied the call already"):
        world.decide(call_id, approve=True)


def test_an_approval_expires(world: ToolWorld) -> None:
    agent, call_id = asked(world, approval_seconds=60)
    world.time.advance(seconds=60)
    with pytest.raises(Conflict, match="the time for a decision is over"):
        world.decide(call_id, approve=True)
    assert world.look() == []
    assert codes(world, agent) == ["approval_expired"]


def test_what_was_approved_is_not_made_once_it_is_another_call(world: ToolWorld) -> None:
    """Whoever writes into the database between approval and call gains nothing by it."""
    agent, call_id = asked(world)
    world.decide(call_id, approve=True)
    world.run(lambda tx: tx.update(table, {"params": {"text": "swapped"}}, id=call_id))
    assert world.look() == []
    assert codes(world, agent) == ["params_changed"]


def test_a_person_who_saw_another_call_approves_nothing(world: ToolWorld) -> None:
    _, call_id = asked(world)
    world.run(lambda tx: tx.update(table, {"params_hash": "other"}, id=call_id))
    seen = Approve(params_hash="seen")
    with pytest.raises(Conflict, match="not the call that you saw"):
        world.run(approvals.decide_of, world.admin.tenant_id, "ann", call_id, seen)


def test_an_approved_call_is_judged_by_the_rules_of_that_moment(world: ToolWorld) -> None:
    agent, call_id = asked(world)
    world.allow("*", effect=Effect.DENY)
    world.decide(call_id, approve=True)
    assert world.look() == []
    assert codes(world, agent) == ["not_allowed"]


def test_a_call_of_another_tenant_is_not_there_to_be_decided(world: ToolWorld) -> None:
    _, call_id = asked(world)
    with pytest.raises(NotFound):
        world.run(approvals.decide_of, "another", "eve", call_id, Approve())


def at_work(world: ToolWorld) -> tuple[str, Any, Any]:
    """Have an agent hold a task and ask for a call about it that needs approval."""
    agent = world.agent("a")
    ref, task = world.connect(agent), world.task()
    world.run(leases.claim, agent, task.id, max_concurrency=1, lease_ms=120_000)
    world.run(attempts.start, agent, task.id)
    return agent, ref, task


def test_the_task_is_blocked_on_a_human_while_its_call_waits(world: ToolWorld) -> None:
    _, ref, task = at_work(world)
    world.allow("*", requires_approval=True)
    calls = [world.request(ref, request_id=f"r{n}", task_id=task.id) for n in range(2)]
    world.look()
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN
    world.decide(calls[0], approve=False)
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN, "another one waits still"
    world.decide(calls[1], approve=True)
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS


def test_nothing_but_the_decision_ends_what_a_task_is_blocked_on(world: ToolWorld) -> None:
    agent, ref, task = at_work(world)
    world.allow("*", requires_approval=True)
    call = world.request(ref, task_id=task.id)
    world.look()
    row = world.run(lambda tx: tx.rows(views.select_tasks().where(tasks.c.id == task.id))[0])
    ann = threads.Author(id="ann", name="Ann", is_human=True)
    world.run(threads.post, row, ann, "what is that call for?")
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN, "a message is no approval"
    said = update(task, TaskStatus.IN_PROGRESS, progress=0.5)
    ack = world.run(attempts.update, agent, said)
    assert ack.task.status is TaskStatus.BLOCKED_ON_HUMAN, "nor is what the agent says"
    assert world.show(task.id).progress == 0.5
    world.decide(call, approve=True)
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS
    world.run(attempts.update, agent, update(task, TaskStatus.BLOCKED_ON_HUMAN))
    row = world.run(lambda tx: tx.rows(views.select_tasks().where(tasks.c.id == task.id))[0])
    world.run(threads.post, row, ann, "go on")
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS, "what was decided blocks no more"


def test_a_decision_does_not_answer_what_the_agent_asks(world: ToolWorld) -> None:
    agent, ref, task = at_work(world)
    world.allow("*", requires_approval=True)
    call = world.request(ref, task_id=task.id)
    world.look()
    world.run(attempts.update, agent, update(task, TaskStatus.BLOCKED_ON_HUMAN))
    world.decide(call, approve=True)
    assert world.show(task.id).status is TaskStatus.BLOCKED_ON_HUMAN, "its question is open"
    ann = threads.Author(id="ann", name="Ann", is_human=True)
    world.run(lambda tx: threads.post(tx, views.task_row(tx, task.id), ann, "go on"))
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS


def test_a_task_goes_on_when_its_last_calls_are_decided_at_the_same_moment(
    shared: ToolWorld,
) -> None:
    _, ref, task = at_work(shared)
    shared.allow("*", requires_approval=True)
    one, other = (shared.request(ref, request_id=f"r{n}", task_id=task.id) for n in range(2))
    shared.look()
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as person, shared.database.writer.begin() as connection:
        tx = Tx(connection, shared.time())
        approvals.decide(tx, "ann", one, approve=True)
        second = person.submit(shared.decide, other, approve=True)
        while not second.done() and not connection.scalar(waiting):
            pass  # until the second decision is made too, or waits for the first to be stored
    second.result(timeout=30)
    assert shared.show(task.id).status is TaskStatus.IN_PROGRESS


def test_a_task_goes_on_when_nobody_approves_in_time(world: ToolWorld) -> None:
    _, ref, task = at_work(world)
    world.allow("*", requires_approval=True, approval_seconds=5)
    world.request(ref, task_id=task.id)
    world.look()
    world.time.advance(seconds=5)
    world.look()
    assert world.show(task.id).status is TaskStatus.IN_PROGRESS


def test_nobody_is_asked_any_more_about_the_call_of_an_attempt_that_is_over(
    world: ToolWorld,
) -> None:
    agent, ref, task = at_work(world)
    world.allow("*", requires_approval=True)
    world.request(ref, task_id=task.id)
    world.look()
    world.run(attempts.update, agent, update(task, TaskStatus.TODO))
    assert world.look() == []
    assert codes(world, agent) == ["lease_lost"]
    assert world.run(approvals.pending, world.admin.tenant_id, limit=9, cursor=None) == []


def test_a_call_about_a_task_of_other_groups_is_refused(world: ToolWorld) -> None:
    world.run(create, world.admin, CreateGroup(name="Other", slug="other"))
    ref = world.connect(world.agent("a"))
    with pytest.raises(NotFound):
        world.request(ref, task_id="no-such-task")


# --- restarts


def test_a_call_whose_process_died_is_answered_and_not_made_again(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    call_id = world.request(world.connect(agent))
    assert len(world.look()) == 1
    ends = world.run(tool_runs.recover, world.keeper("next-life"), alone=True)
    assert len(ends) == 1
    (result,) = world.results(agent)
    assert result["code"] == "outcome_unknown"
    assert "restarted while the tool was at work" in result["error"]
    world.end(call_id, "late")
    assert len(world.results(agent)) == 1


def test_a_call_that_does_no_harm_twice_is_made_again(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    world.request(world.connect(agent), "echo.read")
    assert len(world.look()) == 1
    world.run(tool_runs.recover, world.keeper("next-life"), alone=True)
    assert len(world.look("next-life")) == 1
    assert world.results(agent) == []


def test_calls_that_wait_for_a_person_outlive_a_restart(world: ToolWorld) -> None:
    _, call_id = asked(world)
    world.run(tool_runs.recover, world.keeper("next-life"), alone=True)
    world.decide(call_id, approve=True)
    assert len(world.look("next-life")) == 1


def test_a_call_that_was_received_just_before_a_restart_is_made_after_it(
    world: ToolWorld,
) -> None:
    world.allow("*")
    world.request(world.connect(world.agent("a")))
    assert world.look("next-life") == []
    world.time.advance(seconds=3)
    assert len(world.look("next-life")) == 1


def test_another_node_gives_up_what_a_dead_node_left_at_work(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*", timeout_seconds=10)
    world.request(world.connect(agent))
    assert len(world.look()) == 1
    world.time.advance(seconds=14)
    assert world.look("node-2") == []
    assert world.results(agent) == []
    world.time.advance(seconds=2)
    assert world.look("node-2") == []
    assert codes(world, agent) == ["outcome_unknown"]


# --- tools that agents offer

ROLLBACK = ToolOffer(
    tool="deploy",
    action="rollback",
    input_schema={"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
)


def test_an_agents_tool_is_called_through_the_gateway_and_answers(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*")
    ref = world.offering(offering, ROLLBACK)
    world.request(world.connect(asking), "deploy.rollback", {"to": "v1"}, timeout_ms=9_000)
    assert world.look() == []
    (call,) = world.told(offering, EventType.TOOL_CALL)
    assert (call["tool"], call["action"], call["params"]) == ("deploy", "rollback", {"to": "v1"})
    assert (call["requestedBy"], call["timeoutMs"]) == ("A", 9_000)
    world.answer(ref, call["callId"], success=True, result={"now": "v1"})
    world.look()
    (result,) = world.results(asking)
    assert (result["success"], result["result"]) == (True, {"now": "v1"})
    with pytest.raises(Conflict):
        world.answer(ref, call["callId"], success=True, result="twice")


def test_an_agent_that_offers_a_tool_is_sent_the_trace_of_who_asked(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*")
    world.offering(offering, ROLLBACK)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    wish = {"to": "v1"}
    world.request(world.connect(asking), "deploy.rollback", wish, traceparent=trace)
    world.look()
    (sent,) = [one for one in world.events_of(offering) if one["type"] == EventType.TOOL_CALL]
    assert sent["traceparent"] == trace


def test_an_agents_tool_that_fails_says_so(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*")
    ref = world.offering(offering, ROLLBACK)
    world.request(world.connect(asking), "deploy.rollback", {"to": "v1"})
    world.look()
    (call,) = world.told(offering, EventType.TOOL_CALL)
    world.answer(ref, call["callId"], success=False, error="no such version")
    world.look()
    (result,) = world.results(asking)
    assert (result["code"], result["error"]) == ("tool_failed", "no such version")


def test_an_agent_that_does_not_answer_in_time_is_waited_for_no_longer(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*", timeout_seconds=10)
    ref = world.offering(offering, ROLLBACK)
    call_id = world.request(world.connect(asking), "deploy.rollback", {"to": "v1"})
    world.look()
    world.run(tool_runs.recover, world.keeper("next-life"), alone=True)
    assert world.results(asking) == [], "the agent may still answer, whatever Nexus went through"
    world.time.advance(seconds=16)
    world.look()
    assert codes(world, asking) == ["timed_out"]
    with pytest.raises(Conflict):
        world.answer(ref, call_id, success=True)


def test_only_the_agent_that_was_asked_can_answer(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*")
    world.offering(offering, ROLLBACK)
    ref = world.connect(asking)
    call_id = world.request(ref, "deploy.rollback", {"to": "v1"})
    world.look()
    with pytest.raises(NotFound):
        world.answer(ref, call_id, success=True, result="forged")


@pytest.mark.parametrize("gone", ["closed", "elsewhere", "banned", "itself"])
def test_a_tool_is_there_while_another_agent_of_the_group_is_connected(
    world: ToolWorld, gone: str
) -> None:
    world.run(create, world.admin, CreateGroup(name="Other", slug="other"))
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("*")
    ref = world.offering(offering, ROLLBACK)
    asking_ref = world.connect(asking)
    leave: dict[str, Callable[[], Any]] = {
        "closed": lambda: world.run(_close, ref),
        "elsewhere": lambda: world.run(_leave_team, world, "b"),
        "banned": lambda: world.run(stops.ban, world.admin, "b"),
        "itself": lambda: None,
    }
    leave[gone]()
    asker = ref if gone == "itself" else asking_ref
    world.request(asker, "deploy.rollback", {"to": "v1"})
    assert world.look() == []
    assert codes(world, offering if gone == "itself" else asking) == ["unknown_tool"]


def _close(tx: Any, ref: Any) -> None:
    from nexus.services import sessions

    sessions.close_session(tx, ref, "gone")


def _leave_team(tx: Any, world: ToolWorld, name: str) -> None:
    from nexus.services import agents, groups

    agent = agents.row(tx, world.admin.tenant_id, name)
    groups.remove_member(tx, world.admin, "team", agent["id"])


def test_the_tools_of_nexus_come_before_what_agents_offer(world: ToolWorld) -> None:
    """An agent that calls its own tool as one of Nexus learns nothing of what others send."""
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("*")
    world.offering(offering, ToolOffer(tool="echo", action="say"))
    world.request(world.connect(asking))
    assert len(world.look()) == 1
    assert world.told(offering, EventType.TOOL_CALL) == []


def test_a_call_goes_to_the_agent_that_has_the_least_to_do(world: ToolWorld) -> None:
    world.allow("*")
    offering = [world.agent(name) for name in ("b", "c")]
    for agent_id in offering:
        world.offering(agent_id, ROLLBACK)
    ref = world.connect(world.agent("a"))
    for number in range(4):
        world.request(ref, "deploy.rollback", {"to": "v1"}, request_id=str(number))
        world.look()
    counts = [len(world.told(agent_id, EventType.TOOL_CALL)) for agent_id in offering]
    assert counts == [2, 2]


@pytest.mark.parametrize(
    "offer",
    [
        {"tool": "no dots.here", "action": "a"},
        {"tool": "", "action": "a"},
        {"tool": "t", "action": "x" * 200},
        {"tool": "t", "action": "a", "input_schema": {"type": "nonsense"}},
        {"tool": "t", "action": "a", "input_schema": {"$ref": "http://127.0.0.1/schema"}},
        {"tool": "t", "action": "a", "input_schema": {"description": "x" * 40_000}},
        {"tool": "t", "action": "a", "description": "x" * 5_000},
    ],
)
def test_an_offer_that_cannot_be_kept_is_refused(world: ToolWorld, offer: Any) -> None:
    with pytest.raises(Invalid):
        world.offering(world.agent("a"), ToolOffer(**offer))


def test_too_many_offers_are_refused(world: ToolWorld) -> None:
    offers = [ToolOffer(tool="t", action=f"a{number}") for number in range(65)]
    with pytest.raises(Invalid, match="can offer 64 tools, not 65"):
        world.offering(world.agent("a"), *offers)


# --- what is kept


def test_what_ended_long_ago_goes_and_what_is_open_stays(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("echo.say")
    world.allow("echo.read", requires_approval=True, approval_seconds=30 * 24 * 3600)
    ref = world.connect(agent)
    ended = world.request(ref)
    world.look()
    world.end(ended)
    waiting = world.request(ref, "echo.read", request_id="r2")
    world.look()
    world.time.advance(seconds=8 * 24 * 3600)
    world.run(retention.prune)
    with pytest.raises(NotFound):
        world.call(ended)
    assert world.call(waiting)["state"] == "pending_approval"


def test_rules_of_the_settings_hold_before_those_of_admins(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*", requires_approval=True)
    world.gate = replace(world.gate, rules=from_file(Rule(tools=["echo.*"], name="ours")))
    call_id = world.request(world.connect(agent))
    assert len(world.look()) == 1
    assert world.call(call_id)["rule"] == "ours"


def test_a_tool_that_is_down_is_unavailable(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    down = replace(world.gate.tools["echo"], problem="it does not start")
    world.gate = replace(world.gate, tools={"echo": down})
    world.request(world.connect(agent))
    assert world.look() == []
    (result,) = world.results(agent)
    assert (result["code"], result["error"]) == ("tool_unavailable", "echo: it does not start")


def test_a_tool_of_other_tenants_is_unknown(world: ToolWorld) -> None:
    agent = world.agent("a")
    world.allow("*")
    foreign = replace(world.gate.tools["echo"], tenants=frozenset({"other"}))
    world.gate = replace(world.gate, tools={"echo": foreign})
    world.request(world.connect(agent))
    assert world.look() == []
    assert codes(world, agent) == [ToolCode.UNKNOWN_TOOL]


def test_a_result_that_is_too_large_is_not_handed_on(world: ToolWorld) -> None:
    asking, offering = world.agent("a"), world.agent("b")
    world.allow("deploy.*", max_result_bytes=100)
    ref = world.offering(offering, ROLLBACK)
    world.request(world.connect(asking), "deploy.rollback", {"to": "v1"})
    world.look()
    (call,) = world.told(offering, EventType.TOOL_CALL)
    world.answer(ref, call["callId"], success=True, result="x" * 99)
    world.look()
    (result,) = world.results(asking)
    assert result["code"] == "result_too_large"
    assert result["error"] == "the result is 101 bytes of JSON; at most 100 are taken"
