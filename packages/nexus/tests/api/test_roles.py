"""Every operation asks who calls, and shows nobody what is another tenant's."""

from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from live_nexus import Admin, LiveNexus
from nexus.api import create_api
from nexus.bus import LocalBus
from nexus.services.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {
    "/.well-known/oauth-authorization-server",
    "/agents/register",
    "/auth/register",
    "/auth/registration-status",
    "/auth/token",
    "/auth/revoke",
    "/livez",
    "/readyz",
}
FOR_AGENTS = {"/tasks/available", "/tasks/claimed", "/tasks/{task_id}/claim"}
FOR_ADMINS = {
    "/observer/agents/pending",
    "/observer/agents/pending/count",
    "/observer/registration-tokens",
    "/observer/audit",
    "/observer/clients",
}
"""What even to look at is an admin's."""
FOR_LISTS = sorted(FOR_ADMINS - {"/observer/agents/pending/count", "/observer/clients"})
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/groups"): {"name": "G", "slug": "g"},
    ("patch", "/groups/{group_id}"): {},
    ("post", "/groups/{group_id}/members"): {"agentId": "nope"},
    ("post", "/projects"): {"groupId": "nope", "name": "P", "slug": "p"},
    ("patch", "/projects/{project_id}"): {},
    ("post", "/observer/agents"): {"name": "A", "clientId": "nobody"},
    ("patch", "/observer/agents/{agent_id}"): {},
    ("post", "/observer/agents/approve"): {"agentIds": ["nope"]},
    ("post", "/observer/registration-tokens"): {"groupId": "nope"},
    ("post", "/observer/clients"): {"clientId": "nope"},
    ("post", "/observer/tasks"): {"projectId": "nope", "title": "T"},
    ("patch", "/observer/tasks/{task_id}"): {},
    ("post", "/observer/tasks/{task_id}/messages"): {"text": "hello"},
    ("post", "/tasks/{task_id}/slack-reply"): {"message": "hello"},
    ("patch", "/tasks/{task_id}/status"): {"status": "DONE"},
}


def operations() -> list[tuple[str, str]]:
    """Return every operation that the description knows and that needs a caller."""
    unused = cast("Platform", SimpleNamespace(bus=LocalBus(), draining_topic=""))
    described = create_api(unused).openapi()["paths"]
    return [(method, path) for path in described for method in described[path] if path not in OPEN]


async def call(
    caller: Admin | httpx2.AsyncClient, method: str, path: str, **ids: str
) -> httpx2.Response:
    http = caller.http if isinstance(caller, Admin) else caller
    kinds = ("group", "project", "agent", "task", "token", "client")
    names = {f"{kind}_id": "nope" for kind in kinds}
    body = BODIES.get((method, path))
    return await http.request(method, path.format(**(names | ids)), json=body)


@pytest.mark.parametrize(("method", "path"), operations())
async def test_nothing_is_done_without_a_token(nexus: LiveNexus, method: str, path: str) -> None:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await call(http, method, path)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path"),
    [found for found in operations() if not found[1].startswith("/tasks/")],
)
async def test_what_people_do_is_refused_to_agents(agent: Admin, method: str, path: str) -> None:
    answer = await call(agent, method, path)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), [found for found in operations() if found[0] != "get"])
async def test_a_viewer_changes_nothing(viewer: Admin, method: str, path: str) -> None:
    answer = await call(viewer, method, path)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_viewer_sees_everything(nexus: LiveNexus, viewer: Admin) -> None:
    task = await nexus.admin.task()
    agent = await nexus.admin.agent("seen")
    ids = {"group_id": "team", "project_id": "team", "agent_id": agent["id"], "task_id": task["id"]}

    for method, path in operations():
        if method == "get" and path not in FOR_AGENTS:
            answer = await call(viewer, method, path, **ids)
            assert answer.status_code == (403 if path in FOR_ADMINS else 200), path


@pytest.mark.parametrize("path", sorted(FOR_AGENTS))
async def test_what_agents_do_is_refused_to_people(nexus: LiveNexus, path: str) -> None:
    answer = await call(nexus.admin, "post" if path.endswith("claim") else "get", path)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_what_is_another_tenants_is_not_there(nexus: LiveNexus, stranger: Admin) -> None:
    task = await nexus.admin.task()
    agent = await nexus.admin.agent("hidden")
    group = await nexus.admin.get("/groups/team")
    project = await nexus.admin.get("/projects/team")
    token = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    ids = {
        "token_id": token["id"],
        "group_id": group["id"],
        "project_id": project["id"],
        "agent_id": agent["id"],
        "task_id": task["id"],
    }

    for method, path in operations():
        if "{" in path and path not in FOR_AGENTS:
            answer = await call(stranger, method, path, **ids)
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
    for path, wish in (
        ("/projects", {"groupId": group["id"], "name": "P", "slug": "p"}),
        ("/observer/tasks", {"projectId": project["id"], "title": "T"}),
        ("/observer/agents", {"name": "A", "clientId": "spy", "groupIds": [group["id"]]}),
        ("/observer/registration-tokens", {"groupId": group["id"]}),
    ):
        assert (await stranger.http.post(path, json=wish)).status_code == 404


async def test_lists_hold_nothing_of_another_tenant(nexus: LiveNexus, stranger: Admin) -> None:
    await nexus.admin.task()

    token = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    wish = {"registrationToken": token["token"], "name": "Waits", "clientId": "waits"}
    await nexus.admin.post("/auth/register", **wish)

    for path in ("/groups", "/projects", "/observer/agents", "/observer/tasks", *FOR_LISTS):
        assert (await stranger.get(path))["items"] == []
    assert (await stranger.get("/observer/activity"))["items"] == []
    assert await stranger.get("/observer/agents/pending/count") == {"count": 0}
    stats = await stranger.get("/observer/stats")
    assert (stats["agents"]["total"], stats["tasks"]["todo"], stats["groups"]) == (0, 0, 0)
