"""Whose trace an event belongs to, whichever Nexus it is."""

import pytest

from contract_sides import Hands
from socket_agent import SocketAgent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OF_A_CALL = f"00-{TRACE}-b7ad6b7169203331-01"
ZEROS = f"00-{'0' * 32}-00f067aa0ba902b7-01"


def traces(agent: SocketAgent) -> list[tuple[str, str | None]]:
    """Return the durable events that an agent was sent, as (type, traceparent)."""
    return [
        (name, message.get("traceparent"))
        for name, message in agent.events
        if isinstance(message, dict) and "seq" in message
    ]


async def test_all_that_is_told_of_a_task_belongs_to_the_trace_it_was_made_in(
    hands: Hands,
) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(traceparent=TRACEPARENT)
    await agent.until("task_assigned")
    await hands.side.say(task_id, "@worker look")
    await hands.side.cancel(task_id)
    await agent.until("task_cancelled")
    assert sorted(traces(agent)) == [
        ("context_update", TRACEPARENT),
        ("task_assigned", TRACEPARENT),
        ("task_cancelled", TRACEPARENT),
        ("wake_up", TRACEPARENT),
    ]


async def test_the_trace_is_told_again_and_to_the_next_agent(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task(traceparent=TRACEPARENT)
    await agent.until("task_assigned")
    await agent.drop()
    again = await hands.ready()
    task = await again.until("task_assigned")
    lease = {"taskId": task["taskId"], "attempt": task["attempt"]}
    await again.call("task_update", {**lease, "status": "FAILED", "error": "no"})
    await hands.side.pass_time(61)
    await again.until("task_assigned", count=2)
    assert traces(again) == [("task_assigned", TRACEPARENT)] * 2


@pytest.mark.parametrize("said", ["nonsense", ZEROS, f"ff{TRACEPARENT[2:]}", ""])
async def test_what_is_no_trace_is_passed_over(hands: Hands, said: str) -> None:
    agent = await hands.ready()
    await hands.side.task(traceparent=said)
    await agent.until("task_assigned")
    assert traces(agent) == [("task_assigned", None)]


async def test_a_result_belongs_to_the_trace_of_its_request_else_to_its_tasks(
    hands: Hands,
) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task(traceparent=TRACEPARENT)
    await agent.until("task_assigned")
    wish = {"requestId": "one", "tool": "none", "action": "none", "params": {}, "taskId": task_id}
    envelope = {"type": "tool_request", "payload": wish, "traceparent": OF_A_CALL}
    await agent.raw_call("tool_request", envelope)
    await agent.until("tool_result")
    await agent.call("tool_request", {**wish, "requestId": "two"})
    await agent.until("tool_result", count=2)
    assert traces(agent)[1:] == [("tool_result", OF_A_CALL), ("tool_result", TRACEPARENT)]


async def test_a_tool_cannot_be_asked_for_at_a_task_that_is_not_there(hands: Hands) -> None:
    agent = await hands.ready()
    wish = {"requestId": "one", "tool": "none", "action": "none", "params": {}, "taskId": "none"}
    answer = await agent.call("tool_request", wish)
    assert answer["error"]["code"] == "not_found"
