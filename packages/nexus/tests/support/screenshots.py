"""Where the pictures of the Observer come from: ``make screenshots`` writes them to docs/img."""

import asyncio
import contextlib
import io
import platform
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
from PIL import Image
from playwright.async_api import Browser, Page, expect

from browser import PHONE, chromium, person
from live_nexus import LiveNexus, live_nexus
from newcomers import join
from nexus.observer.entrance import SIGN_IN
from nexus.observer.site import ADMIN_PAGES, PAGES, address
from nexus.testing.slack import Rules, SlackServer
from observer_history import remember
from observer_scene import Scene, scene

IMAGES = Path(__file__).parents[4] / "docs" / "img"
LARGE: dict[str, Any] = {"viewport": {"width": 1280, "height": 940}}
_BEAT_S = 15
Colour = tuple[int, int, int]
_PATIENCE_MS = 60_000
_COLOURS = 256

_HIDE = """names => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    for (const [name, other] of names)
      texts.currentNode.data = texts.currentNode.data.replaceAll(name, other);
}"""
"""Takes what only this machine is called out of a picture."""

REVIEW = {
    "tool": "release",
    "action": "deploy",
    "description": "Puts a version of a service where people use it",
    "inputSchema": {
        "type": "object",
        "properties": {"service": {"type": "string"}, "version": {"type": "string"}},
    },
}


@contextlib.asynccontextmanager
async def staged(data_dir: Path) -> AsyncIterator[tuple[Scene, str]]:
    """Yield a team in the middle of its day, and the task that is worth a look."""
    async with SlackServer.running(rules=Rules(paced=False)) as slack:
        named: dict[str, Any] = {n.lower(): v for n, v in slack.environment().items()}
        async with live_nexus(data_dir, **named) as nexus:
            await slack.send_events_to(f"{nexus.url}/webhooks/slack")
            await nexus.admin.team()
            project = await nexus.admin.get("/projects/team")
            names = ("reviewer", "test-writer", "release-pilot", "doc-keeper")
            ids = [(await nexus.admin.agent(name))["id"] for name in names]
            await nexus.serving.nexus.platform.store.write(remember, project, ids)
            async with scene(nexus, *names, known=True) as team:
                beating = asyncio.create_task(_beat(team))
                try:
                    yield team, await _play(nexus, team)
                finally:
                    beating.cancel()


async def _beat(team: Scene) -> None:
    """Have the agents say that they are alive, as long as it takes."""
    while True:
        for agent in team.agents.values():
            await agent.call("heartbeat")
        await asyncio.sleep(_BEAT_S)


async def _play(nexus: LiveNexus, team: Scene) -> str:
    """Have everything happen once; return the id of the task that has most to show."""
    agents = team.agents
    await agents["release-pilot"].ready(acceptsTasks=False, tools=[REVIEW])
    await nexus.admin.post(
        "/observer/tools/rules", tools=["release.*"], requiresApproval=True, name="a person looks"
    )
    async with httpx2.AsyncClient(base_url=nexus.url) as anyone:
        await join(nexus, anyone, name="Translator", clientId="translator")
    for title, priority in (("Move the docs to the new site", 3), ("Cut the image size", 4)):
        await team.give(title, priority=priority, requiredCapabilities=["design"])
    await _work_of_the_keeper(nexus, team)
    task_id = await _work_of_the_reviewer(nexus, team)
    await _work_that_runs(team)
    return task_id


async def _work_that_runs(team: Scene) -> None:
    task = await team.give("Review refunds.py", requiredCapabilities=["python"])
    holder = await _holder(team, task["id"])
    held = await _given(team, holder, task["id"])
    await team.update(holder, held, "IN_PROGRESS", progress=0.6, message="12 of 20 functions")
    status = {"status": "working", "taskId": task["id"], "message": "12 of 20 functions"}
    await team.agents[holder].call("status_update", status)


async def _work_of_the_keeper(nexus: LiveNexus, team: Scene) -> None:
    task = await team.give("Import last year's invoices", maxAttempts=1)
    holder = await _holder(team, task["id"])
    held = await _given(team, holder, task["id"])
    await team.update(holder, held, "IN_PROGRESS")
    await team.update(holder, held, "FAILED", error="invoices-2025.csv: line 4,117 has no amount")
    task = await team.give("Answer the accountant", description="Which month does she mean?")
    holder = await _holder(team, task["id"])
    held = await _given(team, holder, task["id"])
    await team.update(holder, held, "IN_PROGRESS")
    await team.say(holder, task["id"], "October or November?", "question")
    await team.update(holder, held, "BLOCKED_ON_HUMAN")


async def _work_of_the_reviewer(nexus: LiveNexus, team: Scene) -> str:
    task = await team.give(
        "Ship the ledger fix",
        priority=1,
        description="Review the change, then put 2.4.1 where people use it.",
    )
    holder = await _holder(team, task["id"])
    held = await _given(team, holder, task["id"])
    await team.update(holder, held, "IN_PROGRESS")
    await team.say(holder, task["id"], "The change is small and its tests are green.")
    await asyncio.sleep(1.2)
    await nexus.admin.say(task["id"], "Did you look at the rounding?", author="Ann")
    await team.say(holder, task["id"], "Yes: half to even, as the ledger does it everywhere.")
    await asyncio.sleep(0.8)
    wish = {"requestId": "ship-1", "tool": "release", "action": "deploy", "waits": True}
    params = {"service": "ledger", "version": "2.4.1"}
    said = {**wish, "params": params, "taskId": task["id"]}
    await team.agents[holder].call("tool_request", said)
    await team.agents[holder].until("tool_waiting")
    task_id: str = task["id"]
    return task_id


async def _holder(team: Scene, task_id: str) -> str:
    while True:
        for name, agent in team.agents.items():
            given = agent.named("task_assigned")
            if any(one["payload"]["taskId"] == task_id for one in given):
                return name
        await asyncio.sleep(0.02)


async def _given(team: Scene, holder: str, task_id: str) -> dict[str, Any]:
    given = team.agents[holder].named("task_assigned")
    return next(one["payload"] for one in given if one["payload"]["taskId"] == task_id)


async def paths_of(nexus: LiveNexus, task_id: str) -> dict[str, str]:
    """Return the address of every page by the name of its picture."""
    names = {
        "task_id": task_id,
        "agent_id": (await nexus.admin.get("/observer/agents"))["items"][0]["id"],
        "group_id": (await nexus.admin.get("/groups/team"))["id"],
        "project_id": (await nexus.admin.get("/projects/team"))["id"],
    }
    inside = {
        _name(path): address(re.sub(r"{(\w+)}", lambda found: names[found[1]], path))
        for path in (*PAGES, *ADMIN_PAGES)
    }
    return {**inside, "sign-in": SIGN_IN}


def _name(path: str) -> str:
    if path == "/":
        return "overview"
    *_, last = parts = path.strip("/").split("/")
    return parts[-2].removesuffix("s") if last.startswith("{") else "-".join(parts)


async def shoot(page: Page, file: Path, folder: Path) -> None:
    """Write what a page shows, once it is live where it can be, with few colours."""
    lamps = page.locator("#live")
    for lamp in await lamps.all():
        await expect(lamp).to_have_attribute("data-state", "on", timeout=_PATIENCE_MS)
    hidden = [[sys.executable, "python"], [str(folder), "/srv/nexus"], [platform.release(), "6.12"]]
    await page.evaluate(_HIDE, hidden)
    picture = Image.open(io.BytesIO(await page.screenshot(animations="disabled"))).convert("RGB")
    few = picture.quantize(palette=_palette(picture), dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def _palette(picture: Image.Image) -> Image.Image:
    """Return the most frequent colours as they are: surfaces stay exact, also small ones."""
    counted = picture.getcolors(picture.width * picture.height) or []
    frequent = sorted(counted, key=lambda one: one[0], reverse=True)[:_COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in frequent for part in cast("Colour", colour)])
    return palette


async def shoot_all(
    browser: Browser, nexus: LiveNexus, paths: dict[str, str], folder: Path
) -> None:
    """Write every page in both themes, and dark on a phone."""
    for look, screen in (("dark", LARGE), ("light", LARGE), ("phone", PHONE)):
        link = nexus.serving.nexus.observer.link("admin")
        async with person(browser, nexus.url, **screen) as (page, complaints):
            page.set_default_timeout(_PATIENCE_MS)
            await page.goto(link)
            if look == "light":
                await page.locator('form[action="/ui/theme"] button').click()
            for name, path in paths.items():
                await page.goto(path)
                await shoot(page, IMAGES / f"observer-{name}-{look}.png", folder)
            if complaints:
                raise SystemExit(f"pages complained: {complaints}")


async def main(wanted: list[str]) -> None:
    """Write the pictures of all pages, or of those that are named."""
    with tempfile.TemporaryDirectory() as folder:
        async with staged(Path(folder) / "data") as (team, task_id), chromium() as browser:
            paths = await paths_of(team.nexus, task_id)
            chosen = {name: path for name, path in paths.items() if not wanted or name in wanted}
            await shoot_all(browser, team.nexus, chosen, Path(folder))
    files = sorted(IMAGES.glob("observer-*.png"))
    print(f"{len(files)} pictures, {sum(file.stat().st_size for file in files) // 1024} KiB")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
