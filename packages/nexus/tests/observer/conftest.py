"""Fixtures of the Observer's tests: one Nexus and one browser for each file."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from browser import chromium, person
from live_nexus import LiveNexus, live_nexus
from observer_scene import Scene, scene
from observer_visitor import visitor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nexus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveNexus]:
    """A Nexus with the group and project ``team``, shared by the tests of one file."""
    async with live_nexus(tmp_path_factory.mktemp("nexus") / "data") as nexus:
        await nexus.admin.team()
        yield nexus


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer_id(nexus: LiveNexus) -> str:
    """The client id of somebody who looks and changes nothing."""
    await nexus.admin.post("/observer/clients", clientId="viewer")
    return "viewer"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def team(nexus: LiveNexus) -> AsyncIterator[Scene]:
    """Two agents at work."""
    async with scene(nexus, "ada", "grace") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def admin(nexus: LiveNexus) -> AsyncIterator[httpx2.AsyncClient]:
    """The admin's browser without its script: it has the cookie, and says where forms are from."""
    async with visitor(nexus, "admin") as http:
        yield http


@pytest_asyncio.fixture(loop_scope="module")
async def page(nexus: LiveNexus, browser: Browser) -> AsyncIterator[Page]:
    """An admin's page; it may not complain about anything."""
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link) as (page, complaints):
        yield page
        assert complaints == []
