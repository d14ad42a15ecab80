"""From a person's message in Slack to the agent's handler."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.effort import Effort
from bench.figures import Aim, Figure, oblivion, percentile
from bench.load.pace import at_pace, until
from bench.nexus_process import GROUP, Nexus, nexus
from bench.workers.agents import CREDENTIALS
from nexus.testing.slack import Message, Person, Rules, SlackServer
from oblivion import ContextUpdatePayload, OblivionClient, TaskAssignedPayload

PROJECT = "talk"
PACE = 20
"""Events a second."""

AGENTS = 5
SLOTS = 4
CHANNEL = f"oblivion-{GROUP}_{PROJECT}"
_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A workspace where a person writes into the threads of tasks that agents work on."""

    person: Person
    roots: list[Message]
    heard: dict[str, int] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def paced(self, seconds: float) -> list[float]:
        """Return in ms how long each message took from Slack to its handler."""
        self.heard.clear()
        texts = [f"message {number}" for number in range(int(seconds * PACE))]
        roots = {text: self.roots[nth % len(self.roots)] for nth, text in enumerate(texts)}
        said = await at_pace(
            lambda text: self.person.say(CHANNEL, text, thread=roots[text]), texts, PACE
        )
        async with asyncio.timeout(_WITHIN_S):
            await until(lambda: said.keys() <= self.heard.keys())
        return [(self.heard[text] - asked) / 1e6 for text, asked in said.items()]


async def measure(effort: Effort) -> list[Figure]:
    """Measure at an even pace, with agents of the SDK, over HTTP with signatures."""
    async with _talk() as talk:
        await talk.paced(effort.warm_up_seconds)
        waits = [await talk.paced(effort.paced_seconds) for _ in range(effort.runs)]
    return [
        Figure(
            name=f"slack.latency_p{percent}",
            what=f"from Slack's call to the agent's handler at {PACE} events/s, p{percent}; "
            "the event stored with fsync in between",
            unit="ms",
            ours=oblivion([percentile(one, percent / 100) for one in waits]),
            aim=Aim(at_most=1_000.0) if percent == 99 else None,
            notes={"messages a run": len(waits[0])},
        )
        for percent in (50, 99)
    ]


@contextlib.asynccontextmanager
async def _talk() -> AsyncIterator[Talk]:
    async with (
        SlackServer.running(rules=Rules(paced=False)) as slack,
        nexus(**slack.environment()) as running,
        AsyncExitStack() as stack,
    ):
        await slack.send_events_to(f"{running.url}/webhooks/slack")
        await running.project(PROJECT, "assign")
        talk = Talk(person=slack.user("anna"), roots=[])
        for credentials in await running.agents(AGENTS):
            await stack.enter_async_context(_listener(credentials, talk))
        talk.roots.extend(await _roots(running, slack))
        yield talk
        talk.over.set()


async def _roots(running: Nexus, slack: SlackServer) -> list[Message]:
    """Return the root messages of as many tasks as the agents hold."""
    number = AGENTS * SLOTS
    for nth in range(number):
        await running.post("/observer/tasks", projectId=PROJECT, title=f"Task {nth}")
    return (
        await slack.until(
            lambda: [*roots] if len(roots := slack.channel(CHANNEL).messages) == number else None,
            within_s=2 * number,  # one a second, as Slack wants it
        )
        or []
    )


def _listener(credentials: dict[str, str], talk: Talk) -> OblivionClient:
    """Return a client that works on its tasks until all is said, and notes what it hears when."""
    url, client_id, secret = (credentials[name] for name in CREDENTIALS)
    client = OblivionClient(url, client_id, secret, max_concurrency=SLOTS)

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        await talk.over.wait()

    @client.on_context_update
    async def hear(message: ContextUpdatePayload) -> None:
        talk.heard[message.content] = time.monotonic_ns()

    return client
