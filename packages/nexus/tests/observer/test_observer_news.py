"""Open pages hear what changed: read once for each tenant, bounded, and over when they are."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from eventually import eventually
from letters import letter
from live_nexus import LiveNexus
from nexus.bus import LocalBus
from nexus.observer.newsroom import News, Newsroom
from nexus.services import activity, deliveries

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _position(nexus: LiveNexus) -> tuple[str, int]:
    platform = nexus.serving.nexus.platform
    from nexus.store.schema import tenants

    tenant_id = await platform.store.read(lambda tx: str(tx.scalar(tenants.select())))
    return tenant_id, await platform.store.read(activity.position, tenant_id)


async def test_every_viewer_hears_of_a_change_and_the_feed_is_read_once(nexus: LiveNexus) -> None:
    platform = nexus.serving.nexus.platform
    newsroom = Newsroom(platform)
    tenant_id, position = await _position(nexus)
    reads = 0
    read = activity.since

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal reads
        reads += 1
        return read(*args, **kwargs)

    activity.since, kept = counted, activity.since
    try:
        async with (
            newsroom.viewer(tenant_id, position) as first,
            newsroom.viewer(tenant_id, position) as second,
        ):
            assert newsroom.readers == 1
            task = await nexus.admin.task("Heard of")
            for viewer in (first, second):
                news = await viewer.next(5)
                assert news is not None
                assert task["id"] in news.tasks
                assert "task_created" in news.types
                assert not news.much
            assert await first.next(0.01) is None
            at_most = reads
    finally:
        activity.since = kept
    assert newsroom.readers == 0
    assert at_most < 10


async def test_deliveries_that_another_node_made_are_heard_of(nexus: LiveNexus) -> None:
    platform = nexus.serving.nexus.platform
    tenant_id, position = await _position(nexus)
    other = replace(platform, bus=LocalBus(), is_shared=True)
    async with Newsroom(other).viewer(tenant_id, position) as viewer:
        assert await viewer.next(0.3) is None  # it has seen how many pend
        await platform.store.write(deliveries.post, letter(tenant_id, "elsewhere"))
        news = await viewer.next(10)
        assert news is not None
        assert news.deliveries
        assert (news.position, news.types) == (position, set())


async def test_a_page_that_shows_what_is_past_is_told_to_look_again(nexus: LiveNexus) -> None:
    newsroom = Newsroom(nexus.serving.nexus.platform)
    tenant_id, position = await _position(nexus)
    async with newsroom.viewer(tenant_id, position - 1) as late:
        news = await late.next(5)
        assert news is not None
        assert news.much
        assert news.position == position


async def test_what_a_slow_page_missed_is_bounded() -> None:
    news = News(position=0)
    for number in range(1000):
        row = {"id": number, "type": "t", "task_id": f"t{number}", "agent_id": None}
        news.add([row])
    assert news.much
    assert len(news.tasks) <= 100
    assert news.told()["position"] == 999


async def test_pages_are_let_go_when_the_node_stops(nexus: LiveNexus) -> None:
    platform = nexus.serving.nexus.platform
    newsroom = Newsroom(platform)
    tenant_id, position = await _position(nexus)
    async with newsroom.viewer(tenant_id, position) as viewer:
        waiting = asyncio.create_task(viewer.next(30))
        await eventually(_true, what="the viewer waits")
        newsroom._drain()
        await asyncio.wait_for(waiting, 5)
        assert viewer.over


async def _true() -> bool:
    return True
