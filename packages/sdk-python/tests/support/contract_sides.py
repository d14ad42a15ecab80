"""Where tests get the two that speak the protocol to agents: the real Nexus, and the fake one."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx2

from fake_time import FakeTime
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.services import activity, attempts, leases, watch
from nexus.store.tx import Tx
from oblivion.testing import FakeClock, FakeNexus
from socket_agent import SocketAgent, socket_agent, token_for

_STEP_S = 6.0
"""The real Nexus takes a longer leap for an outage, and has leases begin anew."""


class Side(Protocol):
    """What a test needs of a Nexus, whichever it is; tasks are named by their ids."""

    url: str

    async def agent(self, client_id: str, capabilities: tuple[str, ...] = ()) -> str:
        """Make an agent and return its secret."""
        ...

    async def task(self, title: str = "A task", *, offered: bool = False, **details: Any) -> str:
        """Make a task that is assigned, or offered."""
        ...

    async def say(self, task_id: str, text: str) -> None:
        """Speak as a person whose name is Ann."""

    async def cancel(self, task_id: str) -> None:
        """Cancel a task as a person."""

    async def retry(self, task_id: str) -> None:
        """Retry a task as a person."""

    async def wake(self, client_id: str, message: str) -> None:
        """Wake an agent as a person."""

    async def thoughts(self, task_id: str) -> list[str]:
        """Return the texts of a task's trace."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass, and what it brings happen."""


class RealSide:
    """The server."""

    def __init__(self, live: LiveNexus, time: FakeTime) -> None:
        self.url = live.url
        self._admin = live.admin
        self._platform = live.serving.nexus.platform
        self._time = time

    async def agent(self, client_id: str, capabilities: tuple[str, ...] = ()) -> str:
        await self._admin.post(
            "/observer/agents",
            name=client_id.title(),
            clientId=client_id,
            clientSecret=AGENT_SECRET,
            capabilities=list(capabilities),
            groupIds=["team"],
        )
        return AGENT_SECRET

    async def task(self, title: str = "A task", *, offered: bool = False, **details: Any) -> str:
        project = "offers" if offered else "team"
        told = {"traceparent": details.pop("traceparent")} if "traceparent" in details else {}
        wish = {_camel(name): value for name, value in details.items()}
        wish |= {"projectId": project, "title": title}
        answer = await self._admin.http.post("/observer/tasks", json=wish, headers=told)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def say(self, task_id: str, text: str) -> None:
        await self._admin.say(task_id, text)

    async def cancel(self, task_id: str) -> None:
        await self._admin.post(f"/observer/tasks/{task_id}/cancel")

    async def retry(self, task_id: str) -> None:
        await self._admin.post(f"/observer/tasks/{task_id}/retry")

    async def wake(self, client_id: str, message: str) -> None:
        await self._admin.post(f"/observer/agents/{client_id}/wake", message=message)

    async def thoughts(self, task_id: str) -> list[str]:
        entries = await self._platform.store.read(activity.of_task, task_id, limit=100)
        thought = [entry["data"] for entry in entries if entry["type"] == activity.THOUGHT]
        return [one["text"] for data in thought for one in data["thoughts"]]

    async def pass_time(self, seconds: float) -> None:
        left = seconds
        while left > 0:
            self._time.advance(seconds=min(left, _STEP_S))
            left -= _STEP_S
            await self._platform.store.write(watch.note, self._platform.limits.lease_ms)
        await self._platform.store.write(attempts.expire)
        await self._platform.store.write(_look)


class FakeSide:
    """The one for tests."""

    def __init__(self, nexus: FakeNexus) -> None:
        self.url = nexus.url
        self._nexus = nexus

    async def agent(self, client_id: str, capabilities: tuple[str, ...] = ()) -> str:
        return self._nexus.credentials(client_id, capabilities=capabilities)["client_secret"]

    async def task(self, title: str = "A task", *, offered: bool = False, **details: Any) -> str:
        make = self._nexus.offer if offered else self._nexus.assign
        return (await make(title, **details)).id

    async def say(self, task_id: str, text: str) -> None:
        await self._nexus.say(task_id, text)

    async def cancel(self, task_id: str) -> None:
        await self._nexus.cancel(task_id)

    async def retry(self, task_id: str) -> None:
        await self._nexus.retry(task_id)

    async def wake(self, client_id: str, message: str) -> None:
        await self._nexus.wake(message, client_id=client_id)

    async def thoughts(self, task_id: str) -> list[str]:
        return [thought.text for thought in self._nexus.thoughts(task_id)]

    async def pass_time(self, seconds: float) -> None:
        await self._nexus.clock.advance(seconds)


SIDES = ("real", "fake")


@contextlib.asynccontextmanager
async def serving(name: str, folder: Path) -> AsyncIterator[Side]:
    """Run one of them for the body."""
    if name == "fake":
        async with FakeNexus(clock=FakeClock(frozen=True)) as fake:
            yield FakeSide(fake)
        return
    time = FakeTime()
    async with live_nexus(folder, clock=time) as live:
        await live.admin.team()
        await live.admin.project("offers", group="team", policy="claim")
        yield RealSide(live, time)


class Rest:
    """What an agent asks over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **params: Any) -> tuple[int, Any]:
        """Return the status and the JSON."""
        async with httpx2.AsyncClient(base_url=self._url, headers=self._headers) as http:
            answer = await http.get(path, params=params)
        return answer.status_code, answer.json()

    async def task(self, task_id: str) -> Mapping[str, Any]:
        """Return a task."""
        status, task = await self.get(f"/tasks/{task_id}")
        assert status == 200, task
        found: Mapping[str, Any] = task
        return found


class Hands:
    """What a test of the contract has at hand: a Nexus, and agents that speak the bare protocol."""

    def __init__(self, side: Side, stack: contextlib.AsyncExitStack) -> None:
        self.side = side
        self._stack = stack
        self._secrets: dict[str, str] = {}

    async def token(self, client_id: str = "worker", *capabilities: str) -> str:
        """Return an access token of an agent, which is made if it is not there yet."""
        if client_id not in self._secrets:
            self._secrets[client_id] = await self.side.agent(client_id, capabilities)
        return await token_for(self.side.url, client_id, self._secrets[client_id])

    async def rest(self, client_id: str = "worker") -> Rest:
        """Return the HTTP side of an agent."""
        return Rest(self.side.url, await self.token(client_id))

    async def connect(self, client_id: str = "worker", *capabilities: str) -> SocketAgent:
        """Connect an agent that has not announced itself."""
        token = await self.token(client_id, *capabilities)
        return await self._stack.enter_async_context(socket_agent(self.side.url, token))

    async def ready(self, client_id: str = "worker", **announcement: Any) -> SocketAgent:
        """Connect an agent and announce it."""
        agent = await self.connect(client_id)
        answer = await agent.ready(**announcement)
        assert "error" not in answer, answer
        return agent


def _look(tx: Tx) -> None:
    tx.wake(leases.DISPATCH, leases.OFFERS)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
