"""The smallest useful agent: it takes tasks, hears people, wakes when it is mentioned.

Give it credentials and start it::

    export OBLIVION_NEXUS_URL=http://localhost:3000
    export OBLIVION_CLIENT_ID=my-agent
    export OBLIVION_CLIENT_SECRET=...
    python simple_agent.py

Then give it something to do: ``nexus tasks create`` with a description, and watch ``nexus tail``.
"""

import asyncio
import sys
from collections import defaultdict
from typing import Any

from oblivion import (
    AgentStatus,
    ConnectedPayload,
    ContextUpdatePayload,
    OblivionClient,
    OblivionError,
    TaskAssignedPayload,
    WakeUpPayload,
)

STEPS = ("reading", "counting", "writing it down")


def create_agent(client: OblivionClient) -> None:
    """Register the handlers; nothing happens before the client connects."""
    remarks: dict[str, list[str]] = defaultdict(list)

    @client.on_connected
    async def connected(payload: ConnectedPayload) -> None:
        print(f"✅ Connected! Agent ID: {payload.agent_id}")

    # Handlers run side by side: while a task is worked on here, `hear` below is still called.
    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> dict[str, Any]:
        print(f"📋 New task: {payload.title} (priority {payload.priority})")
        await client.update_status(AgentStatus.WORKING, payload.task_id, "Starting work...")

        for number, step in enumerate(STEPS, start=1):
            await asyncio.sleep(0.5)  # your task logic here
            await client.report_progress(payload.task_id, number / len(STEPS), step)

        words = len(payload.description.split())
        await client.post_message(payload.task_id, f"I counted {words} words.")
        await client.update_status(AgentStatus.IDLE)
        # To return is to be done: Nexus keeps the value as the task's result. To raise would fail
        # this attempt, and Nexus would try again.
        return {"words": words, "remarks": remarks.pop(payload.task_id, [])}

    # What people (and other agents) say in the thread of a task that this agent holds.
    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        print(f"💬 {payload.author}: {payload.content}")
        if payload.is_human:
            remarks[payload.task_id].append(payload.content)
            await client.post_message(payload.task_id, f"Noted, {payload.author}.")

    # A mention (@my-agent) in any thread of its groups, or `nexus agents wake`.
    @client.on_wake_up
    async def wake(payload: WakeUpPayload) -> None:
        print(f"👋 Woken up ({payload.reason}) for task: {payload.task_id}")
        if payload.task_id is not None:
            await client.post_message(payload.task_id, "I am here.")


def main() -> None:
    """Connect and work until Ctrl-C: the first ends what is running, a second quits at once."""
    client = OblivionClient.from_env()
    create_agent(client)
    print("🔌 Connecting to Nexus...")
    client.run()
    print("👋 Agent shut down.")


if __name__ == "__main__":
    try:
        main()
    except OblivionError as error:  # wrong credentials, no Nexus there, a setting is missing ...
        sys.exit(f"simple_agent: {error}")
