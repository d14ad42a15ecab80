"""Where the Observer's tests and screenshots get something to see: a team at work."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from live_nexus import AGENT_SECRET, LiveNexus
from socket_agent import SocketAgent, socket_agent, token_for

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "'-alert(4)-'",
    "</textarea></title><script>alert(5)</script>",
    "javascript:alert(6)",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "&lt;script&gt;alert(8)&lt;/script&gt;",
]
"""What must show as text wherever people and agents may write."""


@dataclass(kw_only=True)
class Scene:
    """A Nexus with a team; ``agents`` are connected, by their client ids."""

    nexus: LiveNexus
    agents: dict[str, SocketAgent] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def give(self, title: str, **more: Any) -> dict[str, Any]:
        """Make a task in the project ``team``."""
        task: dict[str, Any] = await self.nexus.admin.task(title, **more)
        self.tasks[title] = task
        return task

    async def held(self, client_id: str) -> dict[str, Any]:
        """Return the newest task that an agent was given, once it has one more than before."""
        agent = self.agents[client_id]
        given = agent.named("task_assigned")
        payload: dict[str, Any] = await agent.until("task_assigned", count=max(len(given), 1))
        return payload

    async def update(self, client_id: str, task: dict[str, Any], status: str, **more: Any) -> None:
        """Have an agent say how a task of its stands."""
        said = {"taskId": task["taskId"], "attempt": task["attempt"], "status": status, **more}
        answer = await self.agents[client_id].call("task_update", said)
        assert "error" not in answer, answer

    async def say(self, client_id: str, task_id: str, text: str, kind: str = "message") -> None:
        """Have an agent write into a thread."""
        count = len(self.agents[client_id].events)
        message = {"taskId": task_id, "text": text, "kind": kind}
        message["clientMessageId"] = f"{client_id}-{count}-{len(text)}"
        answer = await self.agents[client_id].call("post_message", message)
        assert "error" not in answer, answer


@contextlib.asynccontextmanager
async def scene(
    nexus: LiveNexus, *client_ids: str, slots: int = 1, known: bool = False
) -> AsyncIterator[Scene]:
    """Connect agents of the group ``team`` until the block ends; ``known`` ones are there."""
    async with contextlib.AsyncExitStack() as stack:
        made = Scene(nexus=nexus)
        for client_id in client_ids:
            if not known:
                await nexus.admin.agent(client_id)
            token = await token_for(nexus.url, client_id, AGENT_SECRET)
            agent = await stack.enter_async_context(socket_agent(nexus.url, token))
            await agent.ready(capabilities=["python"], maxConcurrency=slots)
            made.agents[client_id] = agent
        yield made
