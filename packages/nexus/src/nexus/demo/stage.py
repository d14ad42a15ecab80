"""Where the demo's scene is set: a fresh Nexus, a group with its project, agents, tasks."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.demo.api import Api
from nexus.demo.checkout import Checkout
from nexus.demo.errors import DemoFailed
from nexus.demo.processes import Processes

PROJECT = "this-repository"
_GROUP = "code-reviewers"
_NAMES = ("Ada", "Grace", "Barbara", "Radia", "Frances", "Karen", "Adele", "Lynn")
MOST_AGENTS = len(_NAMES)
_START_S = 30.0
_READY = re.compile(r"answers at (\S+?),")
_LINK = re.compile(r"Observer, for you +(\S+)")


@dataclass(frozen=True, kw_only=True)
class Agent:
    """Somebody on the team."""

    id: str
    name: str
    client_id: str
    client_secret: str


async def start_nexus(processes: Processes, data_dir: Path) -> Api:
    """Start ``nexus serve`` on a free port in an empty folder; return a way in for its admin.

    Raises:
        DemoFailed: it did not start.
    """
    serve = ("nexus.cli", "serve", "--port", "0", "--host", "127.0.0.1")
    command = (*serve, "--data-dir", str(data_dir))
    secret = secrets.token_urlsafe(32)  # ours, so that Nexus makes none that it would print
    wishes = {"NEXUS_ADMIN_CLIENT_SECRET": secret, "NEXUS_SIGN_IN_LINK": "true"}
    log = processes.start("nexus", command, **wishes)
    try:
        async with asyncio.timeout(_START_S):
            url, link = await _addresses_in(log, processes)
    except TimeoutError:
        raise DemoFailed(f"Nexus was not ready within {_START_S:g} s") from None
    return Api(url, "admin", secret, link)


async def _addresses_in(log: Path, processes: Processes) -> tuple[str, str]:
    """Return the URL that the server announces once it answers, and the link to the Observer."""
    while True:
        if announced := _announced(log):
            return announced
        processes.check()
        await asyncio.sleep(0.05)


def _announced(log: Path) -> tuple[str, str] | None:
    said = log.read_text(encoding="utf-8", errors="replace")
    url, link = _READY.search(said), _LINK.search(said)
    return None if url is None or link is None else (url[1], link[1])


async def make_team(api: Api, count: int) -> list[Agent]:
    """Make a group, its project, and ``count`` agents with credentials of their own."""
    group = await api.post("/groups", name="Code reviewers", slug=_GROUP)
    await api.post("/projects", groupId=group["id"], name="This repository", slug=PROJECT)
    return [await _make_agent(api, name, group["id"]) for name in _NAMES[:count]]


async def _make_agent(api: Api, name: str, group_id: str) -> Agent:
    client_id = f"reviewer-{name.lower()}"
    profile = {"name": name, "clientId": client_id, "capabilities": ["ruff"]}
    made = await api.post("/observer/agents", groupIds=[group_id], **profile)
    return Agent(id=made["id"], name=name, client_id=client_id, client_secret=made["clientSecret"])


def start_agent(processes: Processes, checkout: Checkout, url: str, agent: Agent) -> None:
    """Start the example as this agent."""
    processes.start(
        agent.client_id,
        [str(checkout.agent)],
        OBLIVION_NEXUS_URL=url,
        OBLIVION_CLIENT_ID=agent.client_id,
        OBLIVION_CLIENT_SECRET=agent.client_secret,
        OBLIVION_DRAIN_TIMEOUT="1",
        CODE_REVIEW_ROOT=str(checkout.root),
    )


async def import_tasks(api: Api, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the tasks, and return them as Nexus has them."""
    return [await api.post("/observer/tasks", projectId=PROJECT, **task) for task in tasks]
