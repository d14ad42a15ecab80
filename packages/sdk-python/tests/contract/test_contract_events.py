"""How events reach an agent, whichever Nexus it is: numbered, in order, until acknowledged."""

from typing import Any

import pytest

from contract_sides import Hands
from socket_agent import SocketAgent

ASSIGNED = {
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
    "attempt",
    "maxAttempts",
    "leaseExpiresAt",
    "assignedAt",
    "createdAt",
    "metadata",
}


def told(agent: SocketAgent) -> list[tuple[int, str]]:
    """Return the durable events that an agent was sent, as (seq, type)."""
    return [
        (message["seq"], name)
        for name, message in agent.events
        if isinstance(message, dict) and "seq" in message
    ]


async def test_an_assignment_comes_in_an_envelope_with_a_lease(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task("Fix it", description="now", priority=1, metadata={"branch": "main"})
    await agent.until("task_assigned")
    (envelope,) = agent.named("task_assigned")
    assert envelope.keys() == {"type", "payload", "timestamp", "id", "seq"}
    assert (envelope["type"], envelope["seq"]) == ("task_assigned", 1)
    payload = envelope["payload"]
    assert payload.keys() == ASSIGNED
    assert (payload["title"], payload["description"], payload["priority"]) == ("Fix it", "now", 1)
    assert (payload["attempt"], payload["maxAttempts"]) == (1, 3)
    assert payload["metadata"] == {"branch": "main"}


async def test_a_deadline_comes_with_the_assignment(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.task(timeout_seconds=60)
    assert (await agent.until("task_assigned")).keys() == ASSIGNED | {"deadline"}


async def test_numbers_have_no_holes(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task()
    await agent.until("task_assigned")
    await hands.side.say(task_id, "one")
    await hands.side.wake("worker", "two")
    await hands.side.cancel(task_id)
    await agent.until("task_cancelled")
    assert told(agent) == [
        (1, "task_assigned"),
        (2, "context_update"),
        (3, "wake_up"),
        (4, "task_cancelled"),
    ]


async def test_what_was_not_acknowledged_comes_again(hands: Hands) -> None:
    agent = await hands.ready()
    for text in ("one", "two", "three"):
        await hands.side.wake("worker", text)
    await agent.until("wake_up", count=3)
    await agent.call("event_ack", {"seqs": [2]})
    await agent.drop()

    again = await hands.ready()
    await again.until("wake_up", count=2)
    assert [(e["seq"], e["payload"]["message"]) for e in again.named("wake_up")] == [
        (1, "one"),
        (3, "three"),
    ]
    first = {event["seq"]: event["id"] for event in agent.named("wake_up")}
    assert all(event["id"] == first[event["seq"]] for event in again.named("wake_up"))


async def test_what_happens_meanwhile_waits_for_the_agent(hands: Hands) -> None:
    agent = await hands.ready()
    await agent.drop()
    await hands.side.wake("worker", "are you there?")
    again = await hands.connect()
    assert (await again.ready())["headSeq"] == 1
    assert (await again.until("wake_up"))["message"] == "are you there?"


async def test_to_who_does_not_acknowledge_sending_counts(hands: Hands) -> None:
    agent = await hands.ready(acks=False)
    await hands.side.wake("worker", "one")
    await agent.until("wake_up")
    await agent.call("heartbeat", {"ping": True})
    await agent.drop()
    again = await hands.ready(acks=False)
    await hands.side.wake("worker", "two")
    assert (await again.until("wake_up"))["message"] == "two"


async def test_at_most_64_are_under_way(hands: Hands) -> None:
    agent = await hands.ready()
    for number in range(70):
        await hands.side.wake("worker", str(number))
    await agent.until("wake_up", count=64)
    await agent.call("heartbeat", {"ping": True})
    assert len(agent.named("wake_up")) == 64
    await agent.call("event_ack", {"seqs": [1, 2, 3]})
    await agent.until("wake_up", count=67)
    await agent.call("event_ack", {"seqs": list(range(4, 68))})
    await agent.until("wake_up", count=70)
    assert [event["seq"] for event in agent.named("wake_up")] == list(range(1, 71))


async def test_a_late_assignment_says_that_it_is_over(hands: Hands) -> None:
    agent = await hands.ready()
    task_id = await hands.side.task()
    await agent.until("task_assigned")
    await agent.drop()
    await hands.side.cancel(task_id)
    again = await hands.ready()
    await again.until("task_cancelled")
    (assignment,) = again.named("task_assigned")
    assert assignment["withdrawn"] is True
    assert "withdrawn" not in agent.named("task_assigned")[0]


@pytest.mark.parametrize("known", [{"epoch": "another"}, {"lastSeq": 99}])
async def test_another_history_is_announced_as_a_gap(hands: Hands, known: dict[str, Any]) -> None:
    agent = await hands.ready()
    await hands.side.wake("worker", "one")
    await agent.until("wake_up")
    await agent.call("event_ack", {"seqs": [1]})
    await agent.drop()
    again = await hands.ready(**known)
    gap = await again.until("gap")
    epoch = again.named("connected")[0]["epoch"]
    assert gap == {"epoch": epoch, "fromSeq": 1, "toSeq": 1}


async def test_acknowledging_twice_or_too_much_does_no_harm(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.wake("worker", "one")
    await agent.until("wake_up")
    assert await agent.call("event_ack", {"seqs": [1, 1, 5]}) == {"acknowledged": True}
    await hands.side.wake("worker", "two")
    await agent.until("wake_up", count=2)
    assert told(agent) == [(1, "wake_up"), (2, "wake_up")]
