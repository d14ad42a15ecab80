"""Where it is tested that a long life costs no memory: after a thousand tasks all is forgotten."""

import gc

import pytest

import oblivion
from oblivion import TaskAssignedPayload
from scripted_nexus import Call, MakeClient, ScriptedNexus


def objects() -> int:
    """Count what is alive."""
    gc.collect()
    return len(gc.get_objects())


async def work(nexus: ScriptedNexus, first: int, count: int) -> None:
    """Have ``count`` tasks done, each with a message, and forget them on this side."""
    done, acknowledged = 0, 0

    def update(call: Call) -> dict[str, bool]:
        nonlocal done
        done += call.payload["status"] == "DONE"
        return {"acknowledged": True}

    def acknowledge(call: Call) -> None:
        nonlocal acknowledged
        acknowledged += len(call.payload["seqs"])

    nexus.answers |= {"task_update": update, "event_ack": acknowledge}
    for number in range(first, first + count):
        await nexus.assign(f"t{number}")
        await nexus.send("context_update", {"taskId": f"t{number}", "content": "hello"})
    await nexus.until(lambda: (done, acknowledged) == (count, 2 * count), patience=100)
    nexus.calls.clear()


@pytest.mark.timeout(240)  # seconds where nothing else runs
async def test_a_thousand_tasks_leave_nothing_behind(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(max_concurrency=4)

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> dict[str, str]:
        await client.update_status("working", payload.task_id)
        await client.report_progress(payload.task_id, 0.5)
        return {"done": payload.task_id}

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        """Hear it. Not on a thread: coverage remembers every thread there ever was."""

    await client.connect()
    agent = client._parts().agent
    await work(nexus, 0, 200)
    before = objects()
    await work(nexus, 200, 800)
    after = objects()
    assert after - before < 800, "less than one object for each task"
    await client.disconnect()
    assert agent.desk.held.active() == []
    assert len(agent.calls._outbox) == 0
    assert not agent.calls._answers
    assert not agent._runner._runs
