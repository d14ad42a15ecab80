"""What an agent hears of the channels of its groups in Slack."""

from oblivion import OblivionClient, SlackMessagePayload, TaskAssignedPayload
from oblivion.testing import FakeNexus
from oblivion_pytest import fixtures

clock, nexus = fixtures.clock, fixtures.nexus


async def test_what_is_said_in_a_channel_reaches_its_handler_in_order(nexus: FakeNexus) -> None:
    client = OblivionClient("http://localhost:9", "my-agent", "of-production")
    heard: list[tuple[str, str | None]] = []

    @client.on_slack_message
    async def hear(said: SlackMessagePayload) -> None:
        heard.append((said.text, said.task_id))

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        await client.block_task(task.task_id)

    async with nexus.agent(client):
        task = await nexus.assign("listen")
        await nexus.chat("good morning")
        await nexus.chat("about this one", task=task)
        await client.send_heartbeat()
        await nexus.expect_status(task, "BLOCKED_ON_HUMAN")
    assert heard == [("good morning", None), ("about this one", task.id)]


async def test_without_a_handler_nothing_is_heard(nexus: FakeNexus) -> None:
    client = OblivionClient("http://localhost:9", "my-agent", "of-production")
    async with nexus.agent(client):
        await nexus.chat("anybody?")
        await client.send_heartbeat()
        assert client.connected
