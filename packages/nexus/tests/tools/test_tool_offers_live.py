"""Agents that use each other's tools through a real Nexus, with the SDK and without it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from pydantic import Field

from eventually import eventually
from live_nexus import AGENT_SECRET, Admin, LiveNexus, live_nexus
from oblivion import OblivionClient, TaskAssignedPayload
from socket_agent import socket_agent, token_for


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("asker")
        await nexus.admin.agent("deployer")
        yield nexus


def client(nexus: LiveNexus, name: str) -> OblivionClient:
    return OblivionClient(**nexus.agent_settings(name), reconnect_delay=0.05)


def deployer(nexus: LiveNexus, done: list[str]) -> OblivionClient:
    offering = client(nexus, "deployer")

    @offering.tool("deploy", action="rollback")
    async def rollback(to: Annotated[str, Field(min_length=1)], force: bool = False) -> Any:
        """Go back to an earlier version."""
        done.append(to)
        return {"now": to, "forced": force}

    @offering.tool("deploy", action="explode")
    def explode() -> None:
        raise ValueError("boom")

    @offering.tool("deploy", action="sleep")
    async def sleep() -> None:
        await asyncio.Event().wait()

    return offering


async def allow(nexus: LiveNexus, *tools: str, **more: Any) -> Any:
    return await nexus.admin.post("/observer/tools/rules", tools=list(tools), **more)


async def test_an_agent_uses_the_tool_of_another_by_its_annotations(nexus: LiveNexus) -> None:
    done: list[str] = []
    await allow(nexus, "deploy.*", groups=["team"])
    async with deployer(nexus, done), client(nexus, "asker") as asker:
        tools = {tool.action: tool for tool in await asker.list_tools()}
        assert sorted(tools) == ["explode", "rollback", "sleep"]
        assert tools["rollback"].description == "Go back to an earlier version."
        assert tools["rollback"].offered_by == "Deployer"
        assert tools["rollback"].input_schema["required"] == ["to"]
        result = await asker.request_tool("deploy", "rollback", {"to": "v1"})
        assert (result.success, result.data) == (True, {"now": "v1", "forced": False})
        assert (result.untrusted, result.error, result.code) == (True, None, None)
        wrong = await asker.request_tool("deploy", "rollback", {"to": ""})
        assert (wrong.success, wrong.code) == (False, "invalid_params")
        failed = await asker.request_tool("deploy", "explode")
        assert (failed.code, failed.error) == ("tool_failed", "ValueError: boom")
        slow = await asker.request_tool("deploy", "sleep", timeout=0.3)
        assert slow.code == "timed_out"
        assert done == ["v1"]


async def test_without_a_rule_an_agent_sees_and_may_nothing(nexus: LiveNexus) -> None:
    done: list[str] = []
    async with deployer(nexus, done), client(nexus, "asker") as asker:
        assert await asker.list_tools() == []
        result = await asker.request_tool("deploy", "rollback", {"to": "v1"})
        assert (result.success, result.code, done) == (False, "not_allowed", [])


async def test_a_tool_is_gone_with_its_agent(nexus: LiveNexus) -> None:
    await allow(nexus, "*")
    offering = deployer(nexus, [])
    await offering.connect()
    async with client(nexus, "asker") as asker:
        assert await asker.list_tools()
        await offering.disconnect()

        async def gone() -> bool:
            return await asker.list_tools() == []

        await eventually(gone, what="the tool is gone")
        result = await asker.request_tool("deploy", "rollback", {"to": "v1"})
        assert result.code == "unknown_tool"


async def test_a_call_that_a_person_approves_goes_on_and_its_task_shows_it(
    nexus: LiveNexus,
) -> None:
    """The quickstart's code waits in place, and the task is blocked meanwhile."""
    done: list[str] = []
    await allow(nexus, "deploy.rollback", requiresApproval=True, name="careful")
    asker = client(nexus, "asker")

    @asker.on_task_assigned
    async def work(task: TaskAssignedPayload) -> object:
        params = {"to": "v2"}
        result = await asker.request_tool(
            "deploy", "rollback", params, timeout=30, task_id=task.task_id
        )
        return {"success": result.success, "data": result.data, "error": result.error}

    async with deployer(nexus, done), asker:
        task = await nexus.admin.task()
        await nexus.admin.until(task["id"], "BLOCKED_ON_HUMAN")
        (waiting,) = (await nexus.admin.get("/observer/approvals"))["items"]
        assert (waiting["params"], waiting["agentName"]) == ({"to": "v2"}, "Asker")
        assert done == []
        path = f"/observer/approvals/{waiting['id']}"
        await nexus.admin.post(f"{path}/approve", paramsHash=waiting["paramsHash"])
        ended = await nexus.admin.until(task["id"], "DONE")
        assert ended["result"]["data"] == {"now": "v2", "forced": False}
        again = await nexus.admin.http.post(f"{path}/approve")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert done == ["v2"]


async def test_a_denial_is_a_result_with_the_reason(nexus: LiveNexus) -> None:
    await allow(nexus, "deploy.*", requiresApproval=True)
    async with deployer(nexus, []), client(nexus, "asker") as asker:
        asking = asyncio.ensure_future(asker.request_tool("deploy", "rollback", {"to": "v3"}))
        approval = await waiting_approval(nexus.admin)
        await nexus.admin.post(f"/observer/approvals/{approval}/deny", reason="not now")
        result = await asyncio.wait_for(asking, 10)
        assert (result.code, result.error) == ("denied", "admin denied the call: not now")


async def waiting_approval(admin: Admin) -> str:
    found: list[str] = []

    async def there() -> bool:
        found[:] = [one["id"] for one in (await admin.get("/observer/approvals"))["items"]]
        return bool(found)

    await eventually(there, what="a call waits for approval")
    return found[0]


async def test_every_call_is_audited_and_counted(nexus: LiveNexus) -> None:
    await allow(nexus, "deploy.rollback")
    async with deployer(nexus, []), client(nexus, "asker") as asker:
        await asker.request_tool("deploy", "rollback", {"to": "v1"})
        await asker.request_tool("deploy", "explode")
    entries = (await nexus.admin.get("/observer/audit", action="tool_call"))["items"]
    told = [(one["actor"], one["details"]["decision"]) for one in entries]
    assert told == [("asker", "refused"), ("asker", "done"), ("asker", "allowed")]
    assert entries[1]["details"]["params"] == {"to": "v1"}
    assert entries[1]["details"]["paramsHash"] == entries[2]["details"]["paramsHash"]
    assert entries[1]["details"]["durationMs"] >= 0
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        metrics = (await http.get("/metrics")).text
    assert 'nexus_tool_calls_total{action="rollback",outcome="done",tool="deploy"}' in metrics


async def test_a_client_without_acks_gets_the_result_as_its_answer(nexus: LiveNexus) -> None:
    await allow(nexus, "deploy.*")
    async with deployer(nexus, []), bare(nexus) as agent:
        await agent.ready(acks=False)
        wish = {"requestId": "r", "tool": "deploy", "action": "rollback", "params": {"to": "v9"}}
        answer = await agent.call("tool_request", wish)
        assert answer["type"] == "tool_result"
        assert answer["payload"]["result"] == {"now": "v9", "forced": False}
        assert await agent.call("tool_request", wish) == {**answer, "timestamp": anything()}
        assert agent.named("tool_result") == []


async def test_a_client_without_acks_is_told_that_a_person_must_decide(nexus: LiveNexus) -> None:
    await allow(nexus, "deploy.*", requiresApproval=True)
    async with deployer(nexus, []), bare(nexus) as agent:
        await agent.ready(acks=False)
        wish = {"requestId": "r", "tool": "deploy", "action": "rollback", "params": {"to": "v9"}}
        answer = await agent.call("tool_request", wish)
        assert answer["payload"]["code"] == "pending_approval"
        approval = await waiting_approval(nexus.admin)
        await nexus.admin.post(f"/observer/approvals/{approval}/approve")

        async def done() -> bool:
            said = await agent.call("tool_request", wish)
            return bool(said["payload"]["success"])

        await eventually(done, what="the approved call is done")


class anything:  # noqa: N801 - reads as a word in an assertion
    """Equals whatever it is compared to."""

    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = object.__hash__


def bare(nexus: LiveNexus) -> Any:
    """Connect the asker without the SDK."""
    return _Bare(nexus)


class _Bare:
    def __init__(self, nexus: LiveNexus) -> None:
        self._nexus = nexus
        self._open: Any = None

    async def __aenter__(self) -> Any:
        token = await token_for(self._nexus.url, "asker", AGENT_SECRET)
        self._open = socket_agent(self._nexus.url, token)
        return await self._open.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._open.__aexit__(*error)
