"""What an agent thinks and logs, and where it is seen."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from oblivion import InvalidArgument, NotConnectedError, OblivionClient, TaskAssignedPayload
from oblivion._thoughts import KEPT
from oblivion.testing import FakeNexus
from oblivion_pytest import fixtures

clock, nexus = fixtures.clock, fixtures.nexus


@pytest.fixture
def client() -> OblivionClient:
    """An agent as its author wrote it: for a Nexus that is not there."""
    return OblivionClient("http://localhost:9", "my-agent", "of-production")


@pytest.fixture
def log(client: OblivionClient) -> Iterator[logging.Logger]:
    """The agent's own logger, whose lines go to the trace."""
    own, handler = logging.getLogger("cook"), client.log_handler(logging.INFO)
    own.setLevel(logging.DEBUG)
    own.addHandler(handler)
    yield own
    own.removeHandler(handler)


async def test_thoughts_reach_the_trace_in_their_order(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        for number in range(120):
            client.think(task.task_id, f"thought {number}", data={"number": number})

    async with nexus.agent(client):
        task = await nexus.assign("think")
        await nexus.expect_status(task, "DONE")
        await nexus.clock.advance(5)
        last = await nexus.expect_thought(task, "thought 119")
    assert last.data == {"number": 119}
    texts = [thought.text for thought in nexus.thoughts(task)]
    assert texts == [f"thought {number}" for number in range(120)]
    assert nexus.thread(task) == []
    assert len(nexus.heard("think")) <= 5


async def test_log_lines_of_a_handler_are_sent_and_no_others(
    nexus: FakeNexus, client: OblivionClient, log: logging.Logger
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        log.debug("too quiet")
        log.warning("%s burns", task.title)
        await asyncio.to_thread(log.info, "from a thread")

    async with nexus.agent(client):
        log.warning("about no task")
        task = await nexus.assign("soup")
        await nexus.expect_status(task, "DONE")
        await nexus.clock.advance(5)
        await nexus.expect_thought(task, "from a thread")
    said = [(thought.text, thought.level, thought.logger) for thought in nexus.thoughts(task)]
    assert said == [("soup burns", "warning", "cook"), ("from a thread", "info", "cook")]


async def test_the_lines_of_the_sdk_stay_at_home(nexus: FakeNexus, client: OblivionClient) -> None:
    handler = client.log_handler(logging.DEBUG)
    sdk = logging.getLogger("oblivion")
    sdk.addHandler(handler)

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        logging.getLogger("oblivion.tasks").warning("of the SDK")
        client.think(task.task_id, "of the agent")

    try:
        async with nexus.agent(client):
            task = await nexus.assign("soup")
            await nexus.expect_thought(task, "of the agent")
    finally:
        sdk.removeHandler(handler)
    assert [thought.text for thought in nexus.thoughts(task)] == ["of the agent"]


async def test_too_many_thoughts_are_dropped_and_counted_and_work_goes_on(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> str:
        for number in range(KEPT + 7):
            client.think(task.task_id, f"thought {number}")
        return "done"

    async with nexus.agent(client):
        nexus.faults.delay("think", 10)
        task = await nexus.assign("think")
        assert (await nexus.expect_status(task, "DONE")).result == "done"
        await nexus.clock.advance(60)
        await nexus.expect_thought(task, f"thought {KEPT - 1}")
        client.think(task.id, "the last")
        await nexus.clock.advance(5)
        await nexus.expect_thought(task, "the last")
    told = sum(call.payload.get("dropped", 0) for call in nexus.heard("think"))
    assert len(nexus.thoughts(task)) + told == KEPT + 8
    assert told == 7


async def test_what_is_thought_last_is_sent_before_the_end(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        client.think(task.task_id, "one")
        await asyncio.sleep(0)
        client.think(task.task_id, "two")

    async with nexus.agent(client, drain_timeout=1):
        task = await nexus.assign("think")
        await nexus.expect_status(task, "DONE")
    assert [thought.text for thought in nexus.thoughts(task)] == ["one", "two"]


async def test_a_long_text_is_cut_and_large_data_refused(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    async with nexus.agent(client):
        task = await nexus.assign("think")
        client.think(task.id, "x" * 3_000)
        assert len((await nexus.expect_thought(task)).text) == 2_004
        with pytest.raises(InvalidArgument, match="data takes 20002 bytes, of at most 16384"):
            client.think(task.id, "large", data="x" * 20_000)


def test_thinking_needs_a_connection(client: OblivionClient) -> None:
    with pytest.raises(NotConnectedError, match="await connect"):
        client.think("task-1", "hm")
