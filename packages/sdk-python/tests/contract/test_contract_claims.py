"""How agents claim, and what they read over HTTP, whichever Nexus it is."""

from contract_sides import Hands

OFFERED = {
    "taskId",
    "title",
    "description",
    "priority",
    "projectId",
    "projectName",
    "groupId",
    "groupName",
    "requiredCapabilities",
    "source",
    "createdAt",
    "metadata",
}


async def test_a_task_is_offered_claimed_and_assigned(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(offered=True)
    offer = await agent.until("task_available")
    assert offer.keys() == OFFERED
    assert "seq" not in agent.named("task_available")[0]
    won = await agent.call("claim_task", {"taskId": task_id})
    assert won.keys() == {"taskId", "success", "claimedAt", "attempt"}
    assert (won["taskId"], won["success"], won["attempt"]) == (task_id, True, 1)
    assert (await agent.until("task_assigned"))["taskId"] == task_id


async def test_others_are_told_who_was_first(hands: Hands) -> None:
    first = await hands.ready("first")
    second = await hands.ready("second")
    task_id = await hands.side.task(offered=True)
    await hands.side.pass_time(1)
    await first.until("task_available")
    await second.until("task_available")
    await first.call("claim_task", {"taskId": task_id})
    told = await second.until("task_claimed")
    assert (told["taskId"], told["claimedByAgentName"]) == (task_id, "First")
    late = await second.call("claim_task", {"taskId": task_id})
    assert late["success"] is False
    assert "CLAIMED" in late["error"]
    assert first.named("task_claimed") == []


async def test_a_claim_may_be_repeated(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(offered=True)
    first = await agent.call("claim_task", {"taskId": task_id})
    assert await agent.call("claim_task", {"taskId": task_id}) == first


async def test_a_claim_in_vain_is_an_answer(hands: Hands) -> None:
    agent = await hands.ready(capabilities=["text"])
    tasks = [await hands.side.task(offered=True) for _ in range(2)]
    hard = await hands.side.task(offered=True, required_capabilities=["python"])
    for task_id, part in ((hard, "python"), ("nothing", "nothing")):
        answer = await agent.call("claim_task", {"taskId": task_id})
        assert answer["success"] is False
        assert part in answer["error"]
    assert (await agent.call("claim_task", {"taskId": tasks[0]}))["success"] is True
    assert (await agent.call("claim_task", {"taskId": tasks[1]}))["success"] is False


async def test_an_agent_without_room_is_offered_nothing(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    lease = await agent.until("task_assigned")
    await hands.side.task(offered=True)
    await agent.call("heartbeat", {"ping": True})
    assert agent.named("task_available") == []
    await agent.call("task_update", {"taskId": lease["taskId"], "attempt": 1, "status": "DONE"})
    await agent.until("task_available")


async def test_the_lists_show_what_waits_and_what_is_held(hands: Hands) -> None:
    held = await hands.side.task("held")
    agent = await hands.ready()
    await agent.until("task_assigned")
    waiting = await hands.side.task("waiting", priority=4)
    urgent = await hands.side.task("urgent", priority=1)
    await hands.side.task("too hard", required_capabilities=["magic"])
    rest = await hands.rest()
    status, available = await rest.get("/tasks/available")
    assert status == 200
    assert [task["taskId"] for task in available] == [urgent, waiting]
    assert available[0].keys() >= {"title", "description", "priority", "createdAt", "groupName"}
    _, claimed = await rest.get("/tasks/claimed")
    assert [task["taskId"] for task in claimed] == [held]


async def test_a_task_is_shown(hands: Hands) -> None:
    task_id = await hands.side.task("Fix it", description="now", metadata={"a": 1})
    task = await (await hands.rest()).task(task_id)
    wanted = {
        "id": task_id,
        "title": "Fix it",
        "description": "now",
        "status": "TODO",
        "priority": 3,
        "attempt": 0,
        "maxAttempts": 3,
        "source": "nexus",
        "requiredCapabilities": [],
        "metadata": {"a": 1},
    }
    assert {name: task[name] for name in wanted} == wanted
    assert task.keys() - wanted.keys() == {
        "projectId",
        "projectName",
        "groupId",
        "groupName",
        "createdAt",
        "updatedAt",
    }


async def test_what_is_not_there_is_a_problem(hands: Hands) -> None:
    status, problem = await (await hands.rest()).get("/tasks/nothing")
    assert (status, problem["status"], problem["code"]) == (404, 404, "not_found")


async def test_without_a_token_nothing_is_read(hands: Hands) -> None:
    await hands.side.task()
    rest = await hands.rest()
    rest._headers["Authorization"] = "Bearer wrong"
    status, problem = await rest.get("/tasks/available")
    assert (status, problem["code"]) == (401, "unauthorized")
