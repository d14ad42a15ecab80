"""People see what goes on: counts, what happened, and what happens while they wait."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi import Request

from live_nexus import LiveNexus, live_nexus
from nexus.api import waiting
from nexus.api.waiting import Watch, look_until, unless_gone

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def newest_id(nexus: LiveNexus) -> int:
    page = await nexus.admin.get("/observer/activity", limit=1)
    return int(page["items"][0]["id"])


async def test_the_tenant_is_shown_at_a_glance(nexus: LiveNexus) -> None:
    before = await nexus.admin.get("/observer/stats")
    await nexus.admin.task()

    stats = await nexus.admin.get("/observer/stats")

    assert stats["tasks"]["todo"] == before["tasks"]["todo"] + 1
    assert (stats["groups"], stats["projects"]) == (1, 1)
    assert stats["agents"] == {"total": 0, "online": 0}


async def test_the_feed_is_read_downwards_in_pages(nexus: LiveNexus) -> None:
    task = await nexus.admin.task("Feed")
    await nexus.admin.say(task["id"], "hello")

    first = await nexus.admin.get("/observer/activity", limit=1)
    rest = await nexus.admin.get("/observer/activity", limit=200, cursor=first["nextCursor"])

    [newest] = first["items"]
    assert (newest["type"], newest["taskId"]) == ("message_posted", task["id"])
    assert (newest["data"]["isHuman"], newest["data"]["title"]) == (True, "Feed")
    assert rest["items"][0]["type"] == "task_created"
    assert rest["items"][0]["id"] < newest["id"]
    assert "nextCursor" not in rest


async def test_what_came_since_is_answered_at_once_oldest_first(nexus: LiveNexus) -> None:
    after = await newest_id(nexus)
    titles = ["one", "two", "three"]
    for title in titles:
        await nexus.admin.task(title)

    page = await nexus.admin.get("/observer/activity", after=after, limit=2, waitSeconds=30)
    rest = await nexus.admin.get("/observer/activity", after=page["nextCursor"])
    none = await nexus.admin.get("/observer/activity", after=rest["nextCursor"], waitSeconds=0.1)

    shown = [item["data"]["title"] for item in page["items"] + rest["items"]]
    assert shown == titles
    assert none == {"items": [], "nextCursor": rest["nextCursor"]}


async def test_a_reader_that_waits_is_answered_when_something_happens(nexus: LiveNexus) -> None:
    after = await newest_id(nexus)
    reader = nexus.admin.get("/observer/activity", after=after, waitSeconds=30)

    async with asyncio.timeout(10):
        page, _ = await asyncio.gather(reader, nexus.admin.task("Wake up"))

    assert page["items"][0]["data"]["title"] == "Wake up"


async def test_no_reader_is_kept_waiting_when_the_node_drains(tmp_path: Path) -> None:
    wait = {"after": 0, "waitSeconds": 30}
    async with live_nexus(tmp_path / "data") as nexus:
        platform = nexus.serving.nexus.platform
        reader = asyncio.create_task(nexus.admin.http.get("/observer/activity", params=wait))

        async with asyncio.timeout(10):
            while not reader.done():
                platform.bus.wake([platform.draining_topic])
                await asyncio.wait({reader}, timeout=0.02)
            late = await nexus.admin.http.get("/observer/activity", params=wait)

    for answer in (await reader, late):
        assert answer.json() == {"items": [], "nextCursor": "0"}
        assert answer.headers["Connection"] == "close"


async def test_whoever_looks_again_looks_when_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_S", 60)
    watch = Watch()
    looks = 0

    async def look() -> Sequence[str]:
        nonlocal looks
        looks += 1
        watch.wake()
        return ["news"] if looks == 3 else []

    async with asyncio.timeout(20):  # the poll would take longer
        assert await look_until(look, watch, 120) == ["news"]


async def test_a_wait_ends_with_nothing_when_its_time_is_over() -> None:
    async def look() -> Sequence[str]:
        return []

    async with asyncio.timeout(5):
        assert await look_until(look, Watch(), 0.01) == []


async def test_a_wait_is_cancelled_when_its_client_leaves() -> None:
    cancelled = asyncio.Event()
    messages = iter(("http.request", "http.disconnect"))

    async def receive() -> dict[str, object]:
        return {"type": next(messages)}

    async def work() -> bool:
        try:
            return await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(5):
        assert await unless_gone(Request({"type": "http"}, receive), work()) is None
    assert cancelled.is_set()
