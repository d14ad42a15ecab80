"""What an agent's test can tell its agent, and what the agent then does."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from oblivion import (
    AgentDisabled,
    AlreadyConnectedError,
    ContextUpdatePayload,
    OblivionClient,
    TaskAssignedPayload,
    WakeUpPayload,
)
from oblivion.errors import UsageError
from oblivion.testing import FakeClock, FakeNexus
from oblivion_pytest import fixtures

clock, nexus = fixtures.clock, fixtures.nexus


@pytest.fixture
def client() -> OblivionClient:
    """An agent as its author wrote it: for a Nexus that is not there."""
    return OblivionClient("http://localhost:9", "my-agent", "of-production")


@pytest.fixture
async def helper(nexus: FakeNexus, client: OblivionClient) -> AsyncIterator[OblivionClient]:
    """An agent that asks, hears and reports, at work in the fake Nexus."""

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> dict[str, str]:
        await client.update_status("working", task.task_id)
        answer = await client.ask_human(task.task_id, f"how about {task.title}?")
        return {"answer": answer.content}

    async with nexus.agent(client):
        yield client


async def test_a_question_is_answered(nexus: FakeNexus, helper: OblivionClient) -> None:
    task = await nexus.assign("tea")
    question = await nexus.expect_message(task, kind="question")
    assert question.text == "how about tea?"
    assert nexus.task(task).status == "BLOCKED_ON_HUMAN"
    await nexus.say(task, "yes, please")
    done = await nexus.expect_status(task, "DONE")
    assert done.result == {"answer": "yes, please"}
    assert [message.text for message in nexus.thread(task)] == ["how about tea?", "yes, please"]


async def test_a_cancelled_task_cancels_its_handler(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with nexus.agent(client), asyncio.timeout(5):
        task = await nexus.assign("endless")
        await begun.wait()
        await nexus.cancel(task)
        await ended.wait()
    assert nexus.task(task).status == "CANCELLED"


async def test_a_lost_lease_leads_to_another_attempt(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    attempts: list[int] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> int:
        attempts.append(task.attempt)
        if task.attempt == 1:
            await asyncio.Event().wait()
        return task.attempt

    async with nexus.agent(client):
        task = await nexus.assign("slow")
        await nexus.expect_status(task, "CLAIMED")
        await nexus.expect_handled()
        await nexus.lose_lease(task)
        assert (await nexus.expect_status(task, "DONE")).result == 2
    assert attempts == [1, 2]


async def test_what_happens_during_a_cut_is_heard_after_it(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    heard: list[str] = []
    woken: list[WakeUpPayload] = []
    done = asyncio.Event()

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        await done.wait()

    @client.on_context_update
    async def hear(message: ContextUpdatePayload) -> None:
        heard.append(message.content)
        if message.content == "bye":
            done.set()

    @client.on_wake_up
    async def wake(call: WakeUpPayload) -> None:
        woken.append(call)

    async with nexus.agent(client):
        task = await nexus.assign("listen")
        await nexus.expect_status(task, "CLAIMED")
        await nexus.drop_connection()
        await nexus.say(task, "hello")
        async with nexus.outage():
            await nexus.mention(task, "are you there?")
        await nexus.say(task, "bye")
        await nexus.expect_status(task, "DONE")
    assert heard == ["hello", "@my-agent are you there?", "bye"]
    assert [call.reason for call in woken] == ["mention"]


async def test_events_that_come_twice_are_handled_once(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    worked: list[str] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        worked.append(task.title)

    nexus.faults.duplicate("task_assigned")
    async with nexus.agent(client):
        task = await nexus.assign("once")
        await nexus.expect_status(task, "DONE")
        await nexus.expect_handled()
    assert worked == ["once"]


@pytest.mark.parametrize("fault", ["disconnect_before_ack", "disconnect_before"])
async def test_a_cut_around_a_call_loses_and_doubles_nothing(
    nexus: FakeNexus, client: OblivionClient, fault: str
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> str:
        await client.post_message(task.task_id, "done it", kind="final")
        return "done"

    getattr(nexus.faults, fault)("post_message")
    getattr(nexus.faults, fault)("task_update")
    async with nexus.agent(client):
        task = await nexus.assign("careful")
        assert (await nexus.expect_status(task, "DONE")).result == "done"
    assert [(m.text, m.kind) for m in nexus.thread(task)] == [("done it", "final")]
    assert len(nexus.heard("post_message")) == 2
    assert nexus.task(task).attempt == 1


async def test_an_answer_may_come_late(
    nexus: FakeNexus, clock: FakeClock, helper: OblivionClient
) -> None:
    nexus.faults.delay("post_message", 15)
    task = await nexus.assign("patience")
    await nexus.expect_message(task, "patience")
    await nexus.say(task, "too early, but an answer")
    await clock.advance(10)
    assert nexus.task(task).status == "IN_PROGRESS"
    await clock.advance(10)
    assert (await nexus.expect_status(task, "DONE")).result["answer"].startswith("too early")


async def test_a_failed_attempt_is_repeated_when_its_pause_is_over(
    nexus: FakeNexus, clock: FakeClock, client: OblivionClient
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> str:
        if task.attempt < 3:
            raise RuntimeError("not yet")
        return "at last"

    async with nexus.agent(client):
        task = await nexus.assign("hard")
        await nexus.expect_status(task, "TODO")
        await clock.advance(10)
        done = await nexus.expect_status(task, "DONE")
    assert (done.attempt, done.result) == (3, "at last")


async def test_an_agent_that_works_for_hours_keeps_its_lease(
    nexus: FakeNexus, clock: FakeClock, helper: OblivionClient
) -> None:
    task = await nexus.assign("long")
    await nexus.expect_message(task, kind="question")
    await clock.advance(3 * 3600)
    assert len(nexus.heard("heartbeat")) >= 3 * 120 - 1
    await nexus.say(task, "still there?")
    assert (await nexus.expect_status(task, "DONE")).attempt == 1


async def test_an_unheard_agent_loses_its_lease(
    nexus: FakeNexus, clock: FakeClock, helper: OblivionClient
) -> None:
    task = await nexus.assign("lost")
    await nexus.expect_message(task, kind="question")
    async with nexus.outage():
        await clock.advance(125)
        assert (await nexus.expect_status(task, "TODO")).error is not None
    await clock.advance(300)  # the longest pause between two tries to come back
    assert (await nexus.expect_status(task, "CLAIMED", "BLOCKED_ON_HUMAN")).attempt == 2


async def test_tools_are_answered_by_functions(nexus: FakeNexus, client: OblivionClient) -> None:
    async def broken(_params: dict[str, object]) -> None:
        raise ValueError("the branch is gone")

    offered: list[str] = []
    nexus.tool("github", create_pr=lambda params: {"number": 7, **params}, merge=broken)

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> list[object]:
        made = await client.request_tool("github", "create_pr", {"title": "Fix"})
        merged = await client.request_tool("github", "merge", {"number": 7})
        other = await client.request_tool("jira", "create")
        offered.extend(f"{tool.tool}.{tool.action}" for tool in await client.list_tools())
        return [made.data, merged.error, other.success]

    async with nexus.agent(client):
        task = await nexus.assign("use tools")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == [{"number": 7, "title": "Fix"}, "the branch is gone", False]
    assert offered == ["github.create_pr", "github.merge"]
    assert [(r.tool, r.action) for r in nexus.tool_requests][:2] == [
        ("github", "create_pr"),
        ("github", "merge"),
    ]


async def test_offers_are_claimed(nexus: FakeNexus, helper: OblivionClient) -> None:
    task = await nexus.offer("who wants this?")
    await nexus.expect_status(task, "BLOCKED_ON_HUMAN")
    assert [call.payload["taskId"] for call in nexus.heard("claim_task")] == [task.id]


async def test_a_connection_may_be_refused(nexus: FakeNexus, client: OblivionClient) -> None:
    nexus.refuse_connections("agent_disabled")
    with pytest.raises(AgentDisabled):
        async with nexus.agent(client):
            pass
    async with nexus.agent(client):
        assert nexus.is_connected()


async def test_an_expired_token_is_renewed(
    nexus: FakeNexus, clock: FakeClock, helper: OblivionClient
) -> None:
    nexus.expire_tokens()
    await nexus.drop_connection()
    task = await nexus.assign("later")
    await nexus.expect_status(task, "BLOCKED_ON_HUMAN")


async def test_what_did_not_happen_is_told_with_its_story(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        await client.fail_task(task.task_id, "the disk is full", retry=False)

    async with nexus.agent(client):
        task = await nexus.assign("Fix the login")
        with pytest.raises(AssertionError, match="expected DONE") as told:
            await nexus.expect_status(task, "DONE")
    story = str(told.value)
    assert "'Fix the login' is FAILED" in story
    assert "error: the disk is full" in story
    assert "task_update taskId=task-1 status=FAILED" in story


async def test_what_cannot_be_told_is_a_clear_error(nexus: FakeNexus) -> None:
    with pytest.raises(UsageError, match="say which agent is meant"):
        await nexus.wake()
    with pytest.raises(UsageError, match="never had the task"):
        await nexus.say("task-9", "hello")
    task = await nexus.assign("nobody is there")
    with pytest.raises(UsageError, match="nobody holds it"):
        await nexus.lose_lease(task)
    await nexus.cancel(task)
    with pytest.raises(UsageError, match="has ended CANCELLED"):
        await nexus.cancel(task)


async def test_a_client_is_itself_again_after_the_block(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    before = repr(client)
    async with nexus.agent(client):
        assert nexus.url in repr(client)
        with pytest.raises(AlreadyConnectedError), client.override(nexus_url="http://localhost:1"):
            pass
    assert repr(client) == before


async def test_agents_of_several_kinds_work_side_by_side(nexus: FakeNexus) -> None:
    def make(name: str, *capabilities: str) -> OblivionClient:
        client = OblivionClient("http://localhost:9", name, "x", capabilities=capabilities)

        @client.on_task_assigned
        async def work(_task: TaskAssignedPayload) -> str:
            return name

        return client

    async with nexus.agent(make("writer", "text")), nexus.agent(make("coder", "python")):
        tasks = [
            await nexus.assign(word, required_capabilities=[word]) for word in ("python", "text")
        ]
        done = [await nexus.expect_status(task, "DONE") for task in tasks]
    assert [task.result for task in done] == ["coder", "writer"]
