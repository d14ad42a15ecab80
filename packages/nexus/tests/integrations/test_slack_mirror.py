"""What Slack is shown of the feed: all of it, once, and nothing of agents that are stopped."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventually import eventually
from letters import all_of
from live_nexus import Admin
from nexus.integrations.slack import boxes, mirror
from nexus.services import activity, tasks, threads, views
from nexus.services.threads import Author
from nexus.store import Tx, UnitOfWork, schema
from nexus.store.opening import open_unit_of_work
from nexus.testing.slack import RateLimited
from service_world import ServiceWorld
from slack_stage import in_no_hurry, stage

ANNA = Author(id="anna", name="Anna", is_human=True)
MESSAGES = 60


@pytest.fixture
async def store(world: ServiceWorld) -> AsyncIterator[UnitOfWork]:
    """What runs services at once, where the database does; the mirror has begun."""
    world.run(mirror.follow, world.admin.tenant_id)
    store = open_unit_of_work(world.database, lambda _topics: None, world.time)
    yield store
    await store.close()


async def task(world: ServiceWorld, store: UnitOfWork) -> str:
    """Make a task; return its id."""
    wish = tasks.CreateTask(project_id="work", title="A task")
    return (await store.write(tasks.create, world.admin, wish)).id


def say(tx: Tx, task_id: str, text: str) -> str:
    return threads.post(tx, views.task_row(tx, task_id), ANNA, text).id


def shown(tx: Tx) -> list[str]:
    """Return which messages wait to be shown."""
    letters = all_of(tx, boxes.OUT).values()
    return [row["payload"]["message_id"] for row in letters if row["kind"] == boxes.MESSAGE]


async def test_no_message_is_passed_over_however_many_speak_at_once(
    world: ServiceWorld, store: UnitOfWork
) -> None:
    tenant_id = world.admin.tenant_id
    about = [await task(world, store) for _ in range(6)]
    async with asyncio.timeout(50):
        speaking = asyncio.gather(
            *(store.write(say, about[number % 6], f"word {number}") for number in range(MESSAGES))
        )
        while not speaking.done():
            await asyncio.gather(*(store.write(mirror.follow, tenant_id) for _ in range(2)))
        while await store.write(mirror.follow, tenant_id):
            pass
    assert sorted(await store.read(shown)) == sorted(await speaking)


def forget_ids(tx: Tx) -> None:
    """Make the feed what the release before Slack wrote."""
    for entry in tx.rows(schema.activity.select()):
        data = {name: one for name, one in entry["data"].items() if not name.startswith("message_")}
        tx.update(schema.activity, {"data": data}, id=entry["id"])


async def test_what_the_release_before_recorded_is_shown_or_passed_over(
    world: ServiceWorld, store: UnitOfWork
) -> None:
    task_id, tenant_id = await task(world, store), world.admin.tenant_id
    old = await store.write(say, task_id, "of the release before")
    await store.write(forget_ids)
    await store.write(
        lambda tx: activity.record(
            tx, tenant_id, "message_posted", task=views.task_row(tx, task_id), text="gone"
        )
    )
    new = await store.write(say, task_id, "of this one")
    while await store.write(mirror.follow, tenant_id):
        pass
    assert await store.read(shown) == [old, new]


async def test_what_waits_to_be_shown_of_agents_rests_while_they_are_stopped(
    tmp_path: Path, server_database: str
) -> None:
    with in_no_hurry():
        async with stage(tmp_path / "data", database_url=server_database) as on_stage:
            admin, slack, anna = on_stage.nexus.admin, on_stage.slack, on_stage.anna
            made = await admin.task("Count to ten")
            root = await on_stage.card_of("Count to ten")
            slack.fail("chat.postMessage", RateLimited(retry_after_s=2))
            await admin.say(made["id"], "nine, ten")
            await slack.until(lambda: slack.calls("chat.postMessage")[-1].error)
            await admin.post("/observer/stop-all")
            await eventually(lambda: waits_for_agents(admin), what="it rests")
            await anna.say(on_stage.channel, f"{slack.mention} are you there?", thread=root)
            await on_stage.reply(root, "stopped")
            assert not any("nine" in one.shown for one in on_stage.channel.thread(root))
            await admin.post("/observer/resume-all")
            await on_stage.reply(root, "nine, ten")


async def waits_for_agents(admin: Admin) -> bool:
    waiting = (await admin.get("/observer/deliveries", status="pending"))["items"]
    return any(one.get("error") == "all agents are stopped" for one in waiting)
