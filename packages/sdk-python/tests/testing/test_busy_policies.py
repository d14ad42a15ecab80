"""What becomes of a message that comes while its task is at work, by each ``on_busy``."""

import asyncio

import pytest

from oblivion import (
    ConfigurationError,
    ContextUpdatePayload,
    InvalidHandlerError,
    LeaseLost,
    OblivionClient,
    TaskAssignedPayload,
    UsageError,
)
from oblivion._busy import BusyPolicy
from oblivion.testing import FakeNexus
from oblivion_pytest import fixtures

clock, nexus = fixtures.clock, fixtures.nexus


def agent(policy: BusyPolicy) -> OblivionClient:
    """An agent as its author wrote it: for a Nexus that is not there."""
    return OblivionClient("http://localhost:9", "my-agent", "of-production", on_busy=policy)


async def test_steering_reaches_the_handler_at_work(nexus: FakeNexus) -> None:
    client = agent("steer")

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> list[str]:
        heard: list[str] = []
        async for message in client.messages(task.task_id):
            heard.append(message.content)
            if message.content == "enough":
                return heard
        return ["the end came first"]

    async with nexus.agent(client):
        task = await nexus.assign("listen")
        await nexus.expect_status(task, "CLAIMED")
        await nexus.say(task, "more salt")
        await nexus.drop_connection()
        await nexus.say(task, "enough")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == ["more salt", "enough"]


async def test_what_is_there_can_be_read_without_waiting(nexus: FakeNexus) -> None:
    client = agent("steer")
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> list[list[str]]:
        read: list[list[str]] = []
        for _ in range(2):
            await go_on.wait()
            messages = client.messages(task.task_id, wait=False)
            read.append([message.content async for message in messages])
        return read

    async with nexus.agent(client):
        task = await nexus.assign("listen")
        await nexus.expect_status(task, "CLAIMED")
        await nexus.say(task, "one")
        await nexus.say(task, "two")
        await client.send_heartbeat()
        go_on.set()
        done = await nexus.expect_status(task, "DONE")
    assert done.result == [["one", "two"], []]


async def test_what_a_handler_left_unread_goes_to_the_other_handler(nexus: FakeNexus) -> None:
    client = agent("steer")
    end = asyncio.Event()
    heard: list[str] = []

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        await end.wait()

    @client.on_context_update
    async def hear(message: ContextUpdatePayload) -> None:
        heard.append(message.content)

    async with nexus.agent(client):
        task = await nexus.assign("deaf")
        await nexus.expect_status(task, "CLAIMED")
        await nexus.say(task, "hello?")
        await client.send_heartbeat()
        assert heard == []
        end.set()
        await nexus.expect_status(task, "DONE")
        await nexus.expect_handled()
    assert heard == ["hello?"]


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("policy", ["steer", "interrupt"])
async def test_whoever_wrote_too_late_is_told(
    nexus: FakeNexus, policy: BusyPolicy, goes_on: bool
) -> None:
    client = agent(policy)
    end = asyncio.Event()

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        await end.wait()
        await client.complete_task(task.task_id)
        if goes_on:
            await asyncio.Event().wait()

    async with nexus.agent(client):
        task = await nexus.assign("deaf")
        await nexus.expect_status(task, "CLAIMED")
        nexus.faults.delay("context_update", 1)
        await nexus.say(task, "hello?")
        end.set()
        await nexus.expect_status(task, "DONE")
        await client.send_heartbeat()
        await nexus.clock.advance(2)
        assert "did not read it" in (await nexus.expect_message(task)).text
        await nexus.expect_handled()


async def test_an_interrupted_handler_begins_again_with_what_was_said(nexus: FakeNexus) -> None:
    client = agent("interrupt")
    calls: list[list[str]] = []
    cleaned_up: list[bool] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> str:
        calls.append([message.content for message in task.messages])
        try:
            async with asyncio.timeout(None if len(task.messages) < 2 else 0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "a time-out of the handler's own still works"
        finally:
            cleaned_up.append(True)
        return "never"

    async with nexus.agent(client):
        task = await nexus.assign("soup")
        await nexus.expect_status(task, "CLAIMED")
        await client.send_heartbeat()
        await nexus.say(task, "more salt")
        await nexus.expect_handled()
        await nexus.say(task, "no, less")
        done = await nexus.expect_status(task, "DONE")
    assert done.attempt == 1
    assert calls == [[], ["more salt"], ["more salt", "no, less"]]
    assert cleaned_up == [True] * 3
    assert done.result == "a time-out of the handler's own still works"


async def test_the_answer_to_a_question_interrupts_nobody(nexus: FakeNexus) -> None:
    client = agent("interrupt")

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> list[str]:
        answer = await client.ask_human(task.task_id, "salt?")
        return [answer.content, *(message.content for message in task.messages)]

    async with nexus.agent(client):
        task = await nexus.assign("soup")
        await nexus.expect_message(task, kind="question")
        await nexus.say(task, "yes")
        assert (await nexus.expect_status(task, "DONE")).result == ["yes"]


async def test_a_cancelled_task_does_not_begin_again(nexus: FakeNexus) -> None:
    client = agent("interrupt")
    calls: list[TaskAssignedPayload] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        calls.append(task)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)

    async with nexus.agent(client):
        task = await nexus.assign("soup")
        await nexus.expect_status(task, "CLAIMED")
        await client.send_heartbeat()
        await nexus.say(task, "stop that")
        await nexus.cancel(task)
        await nexus.expect_handled()
    assert len(calls) == 1


async def test_each_person_is_told_once_that_nobody_reads(nexus: FakeNexus) -> None:
    client = agent("reject")
    end = asyncio.Event()

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        await end.wait()

    async with nexus.agent(client):
        task = await nexus.assign("busy")
        await nexus.expect_status(task, "CLAIMED")
        for author, text in [("Ann", "hello?"), ("Ann", "anybody?"), ("Bob", "hey")]:
            await nexus.say(task, text, author=author)
            await nexus.expect_handled()
        end.set()
        await nexus.expect_status(task, "DONE")
    said = [message.username for message in nexus.thread(task)]
    assert said == ["Ann", "My Agent", "Ann", "Bob", "My Agent"]
    assert "read no messages until I am done" in nexus.thread(task)[1].text


async def test_messages_need_a_client_that_steers(nexus: FakeNexus) -> None:
    client = agent("queue")
    async with nexus.agent(client):
        with pytest.raises(UsageError, match="on_busy='steer'"):
            client.messages("task-1")


async def test_messages_need_a_task_at_work(nexus: FakeNexus) -> None:
    client = agent("steer")
    async with nexus.agent(client):
        with pytest.raises(LeaseLost, match="does not hold the task 'task-1'"):
            client.messages("task-1")


@pytest.mark.parametrize("policy", ["steer", "interrupt"])
async def test_a_thread_cannot_be_reached(nexus: FakeNexus, policy: BusyPolicy) -> None:
    client = agent(policy)

    @client.on_task_assigned
    def work(_task: TaskAssignedPayload) -> None:
        """Work on a thread."""

    with pytest.raises(InvalidHandlerError, match=r"needs an async handler .* async def .*work"):
        async with nexus.agent(client):
            pass


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one of queue, steer, interrupt, reject, not"):
        agent("stear")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the mistake
