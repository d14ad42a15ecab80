"""Real agents against a real Nexus while the world breaks: nothing missed, nothing done twice."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from free_port import free_port
from live_nexus import AGENT_SECRET, Admin, live_nexus, nexus_process
from nexus.store.clock import wall_clock
from oblivion import (
    AuthenticationFailed,
    ConnectionLost,
    ContextUpdatePayload,
    OblivionClient,
    SessionSuperseded,
    TaskAssignedPayload,
    TaskCancelledPayload,
    Timeouts,
)
from socket_agent import socket_agent, token_for

DEADLINE_S = 30.0


def agent_of(url: str, client_id: str = "my-agent", **options: object) -> OblivionClient:
    """Return a client that comes back quickly."""
    given = {"nexus_url": url, "client_id": client_id, "client_secret": AGENT_SECRET}
    quick = {"reconnect_delay": 0.2, "timeouts": Timeouts(ack=2, close=1)}
    return OblivionClient(**{**given, **quick, **options})  # type: ignore[arg-type]  # a mapping


@dataclass
class Shifted:
    """The wall clock, moved by a test."""

    by_ms: int = 0

    def __call__(self) -> int:
        return wall_clock() + self.by_ms


async def test_an_agent_outlives_a_killed_nexus_and_misses_nothing(tmp_path: Path) -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    runs: Counter[str] = Counter()
    heard: list[str] = []
    async with nexus_process(tmp_path / "data", free_port()) as server:
        client = agent_of(server.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> str:
            runs[payload.task_id] += 1
            started.set()
            await finish.wait()
            return "done once"

        @client.on_context_update
        async def listen(payload: ContextUpdatePayload) -> None:
            heard.append(payload.content)

        async with Admin(server.url) as admin:
            await admin.team()
            await admin.agent("my-agent")
            async with client, asyncio.timeout(DEADLINE_S):
                task = await admin.task()
                await started.wait()
                await admin.say(task["id"], "before the end")
                await server.kill()
                finish.set()
                await server.start()
                await admin.say(task["id"], "after the end")
                done = await admin.until(task["id"], "DONE")
        assert (done["result"], done["attempt"]) == ("done once", 1)
        assert runs == {task["id"]: 1}
        assert heard[:1] == ["before the end"]
        assert len(heard) == len(set(heard))


async def test_what_was_cancelled_while_the_agent_was_away_never_reaches_its_handler(
    tmp_path: Path,
) -> None:
    """A process that died had not acknowledged it; the next one is told that it is over."""
    begun, cancelled = asyncio.Queue[str](), asyncio.Queue[str]()
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        token = await token_for(nexus.url, "my-agent", AGENT_SECRET)
        async with socket_agent(nexus.url, token) as dying:
            await dying.ready()
            stale = await nexus.admin.task()
            await dying.until("task_assigned")
        await nexus.admin.post(f"/observer/tasks/{stale['id']}/cancel")
        client = agent_of(nexus.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            begun.put_nowait(payload.task_id)

        @client.on_task_cancelled
        async def note(payload: TaskCancelledPayload) -> None:
            cancelled.put_nowait(payload.task_id)

        async with client, asyncio.timeout(DEADLINE_S):
            assert await cancelled.get() == stale["id"]
            fresh = await nexus.admin.task()
            await nexus.admin.until(fresh["id"], "DONE")
    assert begun.get_nowait() == fresh["id"]
    assert begun.empty()


async def test_a_message_written_while_the_agent_is_away_arrives_once_it_is_back(
    tmp_path: Path,
) -> None:
    finish, heard = asyncio.Event(), asyncio.Queue[str]()
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            await finish.wait()

        @client.on_context_update
        async def listen(payload: ContextUpdatePayload) -> None:
            await heard.put(payload.content)

        async with client, asyncio.timeout(DEADLINE_S):
            task = await nexus.admin.task()
            await nexus.admin.until(task["id"], "CLAIMED")
            await nexus.admin.post("/observer/agents/my-agent/disconnect")
            for number in range(5):
                await nexus.admin.say(task["id"], str(number))
            assert [await heard.get() for _ in range(5)] == list("01234")
            finish.set()
            done = await nexus.admin.until(task["id"], "DONE")
        assert done["attempt"] == 1
        assert heard.empty()


async def test_a_token_that_expires_while_connected_is_replaced(tmp_path: Path) -> None:
    clock = Shifted()
    async with live_nexus(tmp_path / "data", clock=clock) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url)
        back = asyncio.Event()

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            back.set()

        async with client, asyncio.timeout(DEADLINE_S):
            clock.by_ms = 20 * 60 * 1000
            assert await client.list_tasks() == []
            async with Admin(nexus.url) as admin:
                await admin.post("/observer/agents/my-agent/disconnect")
                task = await admin.task()
                await back.wait()
                await admin.until(task["id"], "DONE")


async def test_a_newer_session_ends_the_older_for_good(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        older, newer = agent_of(nexus.url), agent_of(nexus.url)
        await older.connect()
        async with newer, asyncio.timeout(DEADLINE_S):
            with pytest.raises(SessionSuperseded):
                await older.wait()
            assert not older.connected
            assert newer.connected


async def test_credentials_refused_at_a_reconnect_end_the_client(tmp_path: Path) -> None:
    port = free_port()
    client = agent_of(f"http://localhost:{port}")
    async with live_nexus(tmp_path / "one", port=port) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        await client.connect()
    async with live_nexus(tmp_path / "another", port=port), asyncio.timeout(DEADLINE_S):
        with pytest.raises(AuthenticationFailed):
            await client.wait()


@pytest.mark.parametrize("policy", ["assign", "claim"])
async def test_200_tasks_over_5_agents_are_each_done_once(tmp_path: Path, policy: str) -> None:
    runs: Counter[str] = Counter()
    by_agent: Counter[str] = Counter()
    async with live_nexus(tmp_path / "data") as nexus, asyncio.TaskGroup() as group:
        await nexus.admin.team(policy=policy)
        clients = [agent_of(nexus.url, f"agent-{number}") for number in range(5)]
        for number, client in enumerate(clients):
            await nexus.admin.agent(f"agent-{number}")
            _count_work(client, f"agent-{number}", runs, by_agent)
            await client.connect()
        tasks = [await nexus.admin.task(str(number)) for number in range(200)]
        for task in tasks:
            done = await nexus.admin.until(task["id"], "DONE")
            assert done["attempt"] == 1
        for client in clients:
            group.create_task(client.disconnect())
    assert runs == {task["id"]: 1 for task in tasks}
    assert len(by_agent) == 5


def _count_work(
    client: OblivionClient, name: str, runs: Counter[str], by_agent: Counter[str]
) -> None:
    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> None:
        runs[payload.task_id] += 1
        by_agent[name] += 1


async def test_a_client_that_connects_again_gets_back_what_it_left(tmp_path: Path) -> None:
    attempts: list[int] = []
    started = asyncio.Event()
    async with live_nexus(tmp_path / "data") as nexus, asyncio.timeout(DEADLINE_S):
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url, auto_reconnect=False)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            attempts.append(payload.attempt)
            started.set()
            if payload.attempt == 1:
                await asyncio.Event().wait()

        await client.connect()
        task = await nexus.admin.task()
        await started.wait()
        await nexus.admin.post("/observer/agents/my-agent/disconnect")
        with pytest.raises(ConnectionLost):
            await client.wait()
        async with client:
            await nexus.admin.until(task["id"], "DONE")
    assert attempts == [1, 2]


async def test_an_unprintable_error_ends_the_attempt_and_frees_the_slot(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus, asyncio.timeout(DEADLINE_S):
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> object:
            if payload.title == "raise":
                raise ValueError("NUL \x00 in it")
            return {"text": "NUL \x00"} if payload.title == "return" else "fine"

        async with client:
            raised = await nexus.admin.task("raise", maxAttempts=1)
            returned = await nexus.admin.task("return", maxAttempts=1)
            fine = await nexus.admin.task("fine")
            assert "NUL" in (await nexus.admin.until(raised["id"], "FAILED"))["error"]
            failed = await nexus.admin.until(returned["id"], "FAILED")
            assert "could not be delivered" in failed["error"]
            await nexus.admin.until(fine["id"], "DONE")


async def test_a_question_that_its_asker_gave_up_leaves_the_task_unblocked(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with live_nexus(tmp_path / "data") as nexus, asyncio.timeout(DEADLINE_S):
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.ask_human(payload.task_id, "Well?"), 0.3)
            await go_on.wait()

        async with client:
            task = await nexus.admin.task()
            await nexus.admin.until(task["id"], "BLOCKED_ON_HUMAN")
            await nexus.admin.until(task["id"], "IN_PROGRESS")
            go_on.set()
            await nexus.admin.until(task["id"], "DONE")


async def test_a_task_left_blocked_is_taken_up_again_when_a_person_answers(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus, asyncio.timeout(DEADLINE_S):
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(nexus.url)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> str | None:
            said = await client.get_thread(payload.task_id)
            if said:
                return said[-1].text
            await client.block_task(payload.task_id)
            return None

        async with client:
            task = await nexus.admin.task(maxAttempts=1)
            await nexus.admin.until(task["id"], "BLOCKED_ON_HUMAN")
            await nexus.admin.say(task["id"], "Go on")
            assert (await nexus.admin.until(task["id"], "DONE"))["result"] == "Go on"
