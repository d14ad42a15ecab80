"""How long an agent holds a task, whichever Nexus it is: leases, attempts, and who is next."""

from contract_sides import Hands
from socket_agent import SocketAgent


async def assigned(agent: SocketAgent, count: int = 1) -> dict[str, object]:
    """Return the lease that the agent was given last, as calls name it."""
    task = await agent.until("task_assigned", count=count)
    return {"taskId": task["taskId"], "attempt": task["attempt"]}


async def beat(hands: Hands, agent: SocketAgent, seconds: float, active: object) -> None:
    """Let time pass in which the agent says every minute what it works on; None leaves it out."""
    said = {"ping": True} if active is None else {"ping": True, "active": active}
    for _ in range(int(seconds // 60)):
        await hands.side.pass_time(60)
        await agent.call("heartbeat", said)


async def test_a_heartbeat_keeps_the_leases_that_it_names(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    lease = await assigned(agent)
    await beat(hands, agent, 300, [lease])
    answer = await agent.call("task_update", {**lease, "status": "DONE"})
    assert answer["task"]["status"] == "DONE"


async def test_a_heartbeat_that_names_none_keeps_those_of_its_connection(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    lease = await assigned(agent)
    await beat(hands, agent, 300, None)
    assert "error" not in await agent.call("task_update", {**lease, "status": "IN_PROGRESS"})


async def test_a_lease_that_nobody_names_runs_out(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    lease = await assigned(agent)
    await beat(hands, agent, 180, [])
    assert await agent.until("task_cancelled") == {**lease, "reason": "lease_lost"}
    assert await assigned(agent, 2) == {**lease, "attempt": 2}
    stale = await agent.call("task_update", {**lease, "status": "DONE"})
    assert stale["error"]["code"] == "lease_lost"
    assert stale["error"]["retryable"] is False


async def test_agent_ready_keeps_what_it_names_and_says_what_is_lost(hands: Hands) -> None:
    agent = await hands.ready(maxConcurrency=2, instanceId="one")
    await hands.side.task()
    await hands.side.task()
    leases = [await assigned(agent, count) for count in (1, 2)]
    await hands.side.cancel(str(leases[0]["taskId"]))
    await agent.drop()
    again = await hands.connect()
    answer = await again.ready(maxConcurrency=2, instanceId="one", active=leases)
    assert answer["lost"] == [leases[0]["taskId"]]
    assert "error" not in await again.call("task_update", {**leases[1], "status": "DONE"})


async def test_a_new_process_begins_what_the_old_one_held_anew(hands: Hands) -> None:
    agent = await hands.ready(instanceId="one")
    await hands.side.task()
    lease = await assigned(agent)
    await agent.call("event_ack", {"seqs": [1]})
    await agent.drop()
    again = await hands.ready(instanceId="two")
    assert await assigned(again) == {**lease, "attempt": 2}


async def test_what_the_old_process_never_had_is_still_the_first_attempt(hands: Hands) -> None:
    agent = await hands.ready(instanceId="one")
    await hands.side.task()
    lease = await assigned(agent)
    await agent.drop()
    again = await hands.ready(instanceId="two")
    assert await assigned(again) == lease


async def test_an_attempt_may_not_take_longer_than_its_time(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(timeout_seconds=90, max_attempts=1)
    lease = await assigned(agent)
    await beat(hands, agent, 120, [lease])
    assert await agent.until("task_cancelled") == {**lease, "reason": "deadline"}
    task = await (await hands.rest()).task(task_id)
    assert (task["status"], task["error"]) == ("FAILED", "the attempt took longer than 90 s")


async def test_a_failed_attempt_is_followed_by_another_after_a_pause(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(max_attempts=2)
    lease = await assigned(agent)
    answer = await agent.call("task_update", {**lease, "status": "FAILED", "error": "no luck"})
    assert answer["task"] == {"id": task_id, "status": "TODO", "attempt": 1}
    rest = await hands.rest()
    assert (await rest.task(task_id))["error"] == "no luck"
    await hands.side.pass_time(2)
    lease = await assigned(agent, 2)
    assert lease["attempt"] == 2
    answer = await agent.call("task_update", {**lease, "status": "FAILED", "message": "again"})
    assert answer["task"]["status"] == "FAILED"
    assert (await rest.task(task_id))["error"] == "again"


async def test_a_hopeless_failure_is_the_last(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    lease = await assigned(agent)
    wish = {**lease, "status": "FAILED", "error": "no", "retry": False}
    assert (await agent.call("task_update", wish))["task"]["status"] == "FAILED"


async def test_a_person_retries_what_failed(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(max_attempts=1)
    await agent.call("task_update", {**await assigned(agent), "status": "FAILED", "error": "no"})
    await hands.side.retry(task_id)
    assert (await assigned(agent, 2))["attempt"] == 2


async def test_a_task_that_is_handed_back_uses_up_no_attempt(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task(max_attempts=1)
    for attempt in (1, 2, 3):
        lease = await assigned(agent, attempt)
        assert lease["attempt"] == attempt
        answer = await agent.call("task_update", {**lease, "status": "TODO"})
        assert answer["task"]["status"] == "TODO"
        await hands.side.pass_time(1.5)


async def test_an_agent_gets_as_many_as_it_has_room_for_the_urgent_first(hands: Hands) -> None:
    low = await hands.side.task("low", priority=4)
    for title, priority in (("normal", 3), ("urgent", 1), ("high", 2)):
        await hands.side.task(title, priority=priority)
    agent = await hands.ready(maxConcurrency=2)
    await agent.until("task_assigned", count=2)
    await agent.call("heartbeat", {"ping": True})
    titles = [event["payload"]["title"] for event in agent.named("task_assigned")]
    assert titles == ["urgent", "high"]
    await agent.call("task_update", {**await assigned(agent), "status": "DONE"})
    assert (await agent.until("task_assigned", count=3))["title"] == "normal"
    assert (await (await hands.rest()).task(low))["status"] == "TODO"


async def test_who_takes_no_tasks_gets_none_and_keeps_what_it_holds(hands: Hands) -> None:
    agent = await hands.ready(maxConcurrency=2, instanceId="one")
    await hands.side.task("first")
    lease = await assigned(agent)
    await agent.ready(maxConcurrency=2, instanceId="one", acceptsTasks=False, active=[lease])
    task_id = await hands.side.task("second")
    await agent.call("heartbeat", {"ping": True, "active": [lease]})
    assert len(agent.named("task_assigned")) == 1
    assert (await (await hands.rest()).task(task_id))["status"] == "TODO"
    assert "error" not in await agent.call("task_update", {**lease, "status": "DONE"})


async def test_a_task_goes_to_who_can_do_it(hands: Hands) -> None:
    plain = await hands.ready("plain")
    able = await hands.ready("able", capabilities=["python"])
    await hands.connect("skilled", "python", "review")
    await hands.side.task(required_capabilities=["python"])
    await able.until("task_assigned")
    await plain.call("heartbeat", {"ping": True})
    assert plain.named("task_assigned") == []


async def test_the_profile_of_an_agent_counts_too(hands: Hands) -> None:
    await hands.side.task(required_capabilities=["python", "review"])
    agent = await hands.connect("skilled", "python", "review")
    await agent.ready()
    await agent.until("task_assigned")


async def test_the_least_loaded_is_next(hands: Hands) -> None:
    one = await hands.ready("one", maxConcurrency=5)
    two = await hands.ready("two", maxConcurrency=5)
    for _ in range(4):
        await hands.side.task()
    await one.until("task_assigned", count=2)
    await two.until("task_assigned", count=2)
