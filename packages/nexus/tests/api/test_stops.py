"""People stop agents, one or all: in two seconds nothing is left of them, and no task is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doors import at_the_socket, over_http
from eventually import eventually
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus, live_nexus
from nexus.domain.principal import Role
from nexus.services.secrets import hash_secret
from nexus.store import Tx
from nexus.store.schema import clients, tenants
from oblivion import OblivionClient, TaskAssignedPayload
from socket_agent import SocketAgent, socket_agent, token_for

CUT_WITHIN_S = 2.0


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        for name in ("one", "two"):
            await nexus.admin.agent(name)
        yield nexus


async def token(nexus: LiveNexus, name: str) -> str:
    return await token_for(nexus.url, name, AGENT_SECRET)


async def cut_within_time(agent: SocketAgent, act: Callable[[], Awaitable[Any]]) -> Any:
    """Return what ``act`` returns, once the agent was told its task is taken and was cut off."""
    answer = await act()
    began = time.monotonic()
    cancelled = await agent.until("task_cancelled")
    await agent.until("disconnect")
    assert time.monotonic() - began < CUT_WITHIN_S
    assert cancelled["reason"] == "stopped"
    return answer


async def test_a_banned_agent_is_cut_off_and_another_takes_over_at_once(nexus: LiveNexus) -> None:
    old = await token(nexus, "one")
    async with (
        socket_agent(nexus.url, old) as one,
        socket_agent(nexus.url, await token(nexus, "two")) as two,
    ):
        await one.ready()
        task = await nexus.admin.task()
        assert (await one.until("task_assigned"))["attempt"] == 1
        await two.ready()

        shown = await cut_within_time(
            one, lambda: nexus.admin.post("/observer/agents/one/ban", reason="misbehaves")
        )

        assert (shown["isBanned"], shown["isConnected"], shown["currentTaskIds"]) == (
            True,
            False,
            [],
        )
        assert (await two.until("task_assigned"))["attempt"] == 2
        done = {"taskId": task["id"], "attempt": 2, "status": "DONE"}
        assert (await two.call("task_update", done))["task"]["status"] == "DONE"
    assert await at_the_socket(nexus, old) == "agent_disabled"
    assert await over_http(nexus, old) == "agent_disabled"
    refused = await token_request(nexus, "one", AGENT_SECRET)
    assert "disabled" in refused.json()["error_description"]
    wrong = await token_request(nexus, "one", "wrong")
    assert "disabled" not in wrong.text


async def test_an_unbanned_agent_needs_a_new_token_and_no_new_secret(nexus: LiveNexus) -> None:
    old = await token(nexus, "one")
    await nexus.admin.post("/observer/agents/one/ban")

    shown = await nexus.admin.post("/observer/agents/one/unban")

    assert shown["isBanned"] is False
    assert await at_the_socket(nexus, old) == "unauthorized"
    assert await at_the_socket(nexus, await token(nexus, "one")) == "let in"


async def test_a_banned_agents_last_words_about_its_task_are_refused(nexus: LiveNexus) -> None:
    """Its result may be on its way while it is banned; the next attempt is another's."""
    async with socket_agent(nexus.url, await token(nexus, "one")) as one:
        await one.ready()
        task = await nexus.admin.task(maxAttempts=1)
        await one.until("task_assigned")
        done = {"taskId": task["id"], "attempt": 1, "status": "DONE"}
        calls = [one.call("task_update", done), nexus.admin.post("/observer/agents/one/ban")]
        await asyncio.gather(*calls, return_exceptions=True)
    task = await nexus.admin.get(f"/tasks/{task['id']}")
    assert task["status"] in {"DONE", "TODO"}
    assert task.get("error") is None


async def test_disconnecting_ends_the_session_and_nothing_else(nexus: LiveNexus) -> None:
    kept = await token(nexus, "one")
    async with socket_agent(nexus.url, kept) as one:
        await one.ready()
        task = await nexus.admin.task()
        await one.until("task_assigned")

        await nexus.admin.post("/observer/agents/one/disconnect")

        await one.until("disconnect")
        assert one.named("task_cancelled") == []
    assert (await nexus.admin.get(f"/tasks/{task['id']}"))["status"] == "CLAIMED"
    assert await at_the_socket(nexus, kept) == "let in"


async def test_the_kill_switch_stops_all_and_resuming_brings_all_back(nexus: LiveNexus) -> None:
    tokens = [await token(nexus, name) for name in ("one", "two")]
    async with socket_agent(nexus.url, tokens[0]) as one, socket_agent(nexus.url, tokens[1]) as two:
        for agent in (one, two):
            await agent.ready()
        tasks = [await nexus.admin.task(f"T{number}") for number in range(3)]
        for agent in (one, two):
            await agent.until("task_assigned")

        halt = await cut_within_time(
            one, lambda: nexus.admin.post("/observer/stop-all", reason="all is on fire")
        )

        await two.until("task_cancelled")
        await two.until("disconnect")
    assert (halt["stopped"], halt["sessions"], halt["tasks"]) == (True, 2, 2)
    for void in tokens:
        assert await at_the_socket(nexus, void) == "agents_stopped"
        assert await over_http(nexus, void) == "agents_stopped"
    later = await nexus.admin.task("while stopped")
    for task in (*tasks, later):
        shown = await nexus.admin.get(f"/tasks/{task['id']}")
        assert (shown["status"], shown.get("claimedByAgentId")) == ("TODO", None)

    assert (await nexus.admin.post("/observer/resume-all")) == {
        "stopped": False,
        "sessions": 0,
        "tasks": 0,
    }

    async with socket_agent(nexus.url, tokens[0]) as one, socket_agent(nexus.url, tokens[1]) as two:
        for agent in (one, two):
            await agent.ready(maxConcurrency=4)
        for task in (*tasks, later):
            await nexus.admin.until(task["id"], "CLAIMED")


async def test_a_stop_is_asked_for_twice_and_counts_once(nexus: LiveNexus) -> None:
    first = await nexus.admin.post("/observer/stop-all")
    second = await nexus.admin.post("/observer/stop-all")

    assert first["stoppedAt"] == second["stoppedAt"]
    assert (await nexus.admin.get("/observer/stop-all"))["stopped"] is True
    happened = (await nexus.admin.get("/observer/activity"))["items"]
    assert [entry["type"] for entry in happened].count("agents_stopped") == 1


async def test_a_refused_connection_says_that_it_is_worth_coming_back(nexus: LiveNexus) -> None:
    kept = await token(nexus, "one")
    await nexus.admin.post("/observer/stop-all")

    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.get("/tasks/available", headers={"Authorization": f"Bearer {kept}"})

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_stop_outlives_a_restart(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("one")
        await nexus.admin.post("/observer/stop-all")
    async with live_nexus(tmp_path / "data") as nexus:
        assert await at_the_socket(nexus, await token(nexus, "one")) == "agents_stopped"
        await nexus.admin.post("/observer/resume-all")
        assert await at_the_socket(nexus, await token(nexus, "one")) == "let in"


@pytest.fixture
async def other_tenant(nexus: LiveNexus) -> AsyncIterator[Admin]:
    """The admin of another tenant."""
    platform = nexus.serving.nexus.platform

    def put(tx: Tx) -> None:
        tenant = {"id": "other", "slug": "other", "name": "Other", "created_at": tx.now}
        tx.insert(tenants, tenant)
        admin = {"client_id": "stranger", "tenant_id": "other", "role": Role.ADMIN}
        hashed = hash_secret(ADMIN_SECRET, platform.pepper)
        tx.insert(clients, {**admin, "secret_hash": hashed, "created_at": tx.now})

    await platform.store.write(put)
    async with Admin(nexus.url, client_id="stranger") as admin:
        yield admin


async def test_the_stop_of_one_tenant_leaves_another_alone(
    nexus: LiveNexus, other_tenant: Admin
) -> None:
    await other_tenant.agent("theirs", groups=())
    async with socket_agent(nexus.url, await token(nexus, "theirs")) as theirs:
        await theirs.ready()

        halt = await nexus.admin.post("/observer/stop-all")

        assert halt["sessions"] == 0
        beat = await theirs.call("heartbeat", {"ping": True, "active": []})
        assert beat["payload"]["pong"] is True
    assert (await other_tenant.get("/observer/stop-all"))["stopped"] is False


async def test_an_sdk_agent_stops_its_handler_and_comes_back_by_itself(nexus: LiveNexus) -> None:
    client = OblivionClient(**nexus.agent_settings("one"), reconnect_delay=0.1)
    began: list[int] = []
    ended: list[str] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> str:
        began.append(task.attempt)
        if task.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
        return "done"

    async with client:
        task = await nexus.admin.task()
        await eventually(lambda: _is(bool(began)), what="the handler runs")

        await nexus.admin.post("/observer/stop-all")

        await eventually(lambda: _is(ended == ["cancelled"]), what="the handler was cancelled")
        shown = await nexus.admin.get(f"/tasks/{task['id']}")
        assert shown["status"] == "TODO"
        await nexus.admin.post("/observer/resume-all")
        await nexus.admin.until(task["id"], "DONE")
    assert began == [1, 2]


async def _is(value: bool) -> bool:
    return value


async def token_request(nexus: LiveNexus, client_id: str, secret: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        wish = {"client_id": client_id, "client_secret": secret}
        return await http.post("/auth/token", json=wish)
