"""What an agent thinks, whichever Nexus it is."""

from contract_sides import Hands


async def test_thoughts_stand_in_the_trace_alone(hands: Hands) -> None:
    agent = await hands.ready()
    other = await hands.ready("other")
    task_id = await hands.side.task()
    wish = {
        "taskId": task_id,
        "thoughts": [
            {"text": "hm, @other", "data": {"tokens": 7}},
            {"text": "done", "level": "info", "logger": "cook", "at": "2026-11-30T22:00:00.000Z"},
        ],
    }
    assert await agent.call("think", wish, id_="t-1") == {"acknowledged": True}
    assert await agent.call("think", wish, id_="t-1") == {"acknowledged": True}
    assert await hands.side.thoughts(task_id) == ["hm, @other", "done"]
    _, page = await (await hands.rest()).get(f"/tasks/{task_id}/slack-thread")
    assert page["messages"] == []
    await other.call("heartbeat", {"ping": True})
    assert other.named("wake_up") == []
    assert agent.named("context_update") == []


async def test_a_trace_outlives_its_attempt(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    task = await agent.until("task_assigned")
    lease = {"taskId": task["taskId"], "attempt": task["attempt"]}
    await agent.call("task_update", {**lease, "status": "DONE"})
    wish = {"taskId": task["taskId"], "thoughts": [{"text": "that was easy"}]}
    assert await agent.call("think", wish) == {"acknowledged": True}
    assert await hands.side.thoughts(task["taskId"]) == ["that was easy"]


async def test_there_is_nothing_to_think_about_an_unknown_task(hands: Hands) -> None:
    agent = await hands.ready()
    answer = await agent.call("think", {"taskId": "nothing", "thoughts": [{"text": "hm"}]})
    assert answer["error"]["code"] == "not_found"


async def test_more_than_a_hundred_thoughts_are_too_many(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task()
    task = await agent.until("task_assigned")
    wish = {"taskId": task["taskId"], "thoughts": [{"text": "hm"}] * 101}
    assert (await agent.call("think", wish))["error"]["code"] == "invalid_payload"
