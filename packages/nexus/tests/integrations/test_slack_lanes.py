"""Only the lane of a task's project posts its root: of two lanes at once, one alone may."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from nexus.integrations.slack import boxes
from nexus.integrations.slack.client import SlackApi
from nexus.integrations.slack.outbound import Outbound
from nexus.integrations.worker import Postponed
from nexus.services import deliveries, views
from nexus.services import slack as places
from nexus.services.platform import Platform
from nexus.store import Tx, UnitOfWork
from nexus.store.opening import open_unit_of_work
from nexus.store.tx import Row
from nexus.testing.slack import Channel, Rules, SlackServer
from service_world import ServiceWorld


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A task whose card somebody has deleted, which Nexus does not know yet."""

    slack: SlackServer
    channel: Channel
    store: UnitOfWork
    outbound: Outbound
    task_id: str

    async def claim(self, lane: str) -> Row:
        """Return the delivery that is due in a lane."""
        rows = await self.store.write(deliveries.claim, boxes.OUT, limit=9)
        return next(row for row in rows if row["lane"] == lane)

    async def show(self, row: Row) -> None:
        """Carry a delivery out, and record it."""
        await self.store.write(await self.outbound(row))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    world = ServiceWorld(tmp_path / "nexus.db")
    async with SlackServer.running(rules=Rules(paced=False)) as slack:
        anna = slack.user("anna")
        channel = slack.open_channel("work", anna)
        await anna.invite_app(channel)
        api = SlackApi(slack.app.bot_token, slack.api_url)
        task = world.task("Mend the login")
        world.run(_keep, task.project_id, channel)
        world.run(places.open_thread, task.id, channel.id, "1.000001", "1.000001")
        store = open_unit_of_work(world.database, lambda _topics: None, world.time)
        platform = cast("Platform", SimpleNamespace(store=store))
        try:
            yield Scene(
                slack=slack,
                channel=channel,
                store=store,
                outbound=Outbound(platform, api, None),
                task_id=task.id,
            )
        finally:
            await store.close()
            await api.close()
            world.database.close()


def _keep(tx: Tx, project_id: str, channel: Channel) -> None:
    (owner,) = places.owners(tx, [project_id])
    places.keep_channel(tx, owner, channel.id, channel.name)


async def test_a_card_found_deleted_is_posted_by_its_projects_lane_alone(scene: Scene) -> None:
    task = await scene.store.read(views.task_row, scene.task_id)
    await scene.store.write(boxes.show, task, "1")
    stale = await scene.claim(f"{boxes.lane_of(task)}:cards")
    with pytest.raises(Postponed, match="its card was deleted"):
        await scene.outbound(stale)
    await scene.show(stale)
    assert scene.slack.calls("chat.postMessage") == [], "another lane may be posting the root"
    await scene.show(await scene.claim(boxes.lane_of(task)))
    (root,) = scene.channel.messages
    after = await scene.store.read(views.task_row, scene.task_id)
    assert (after["slack_card_ts"], after["slack_thread_ts"]) == (root.ts, root.ts)
