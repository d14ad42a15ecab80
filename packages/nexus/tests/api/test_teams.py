"""People make groups, projects and agents over HTTP, change them and put them away."""

import uuid

import pytest

from live_nexus import Admin, LiveNexus

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def slug() -> str:
    return f"s-{uuid.uuid4().hex[:8]}"


async def test_a_group_is_made_shown_changed_and_archived(nexus: LiveNexus, slug: str) -> None:
    made = await nexus.admin.http.post("/groups", json={"name": "Team", "slug": slug})
    group = made.json()
    path = f"/groups/{group['id']}"
    taken = await nexus.admin.http.post("/groups", json={"name": "Other", "slug": slug})
    changed = await nexus.admin.patch(path, description="Who fixes things")
    archived = await nexus.admin.http.delete(path)

    assert (made.status_code, made.headers["Location"]) == (201, path)
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert changed["description"] == "Who fixes things"
    assert (archived.status_code, archived.content) == (204, b"")
    assert (await nexus.admin.get(f"/groups/{slug}"))["archivedAt"]
    listed = await nexus.admin.get("/groups", limit=200)
    assert group["id"] not in [item["id"] for item in listed["items"]]
    listed = await nexus.admin.get("/groups", limit=200, archived=True)
    assert group["id"] in [item["id"] for item in listed["items"]]


async def test_groups_are_listed_in_pages(nexus: LiveNexus, slug: str) -> None:
    for number in range(3):
        await nexus.admin.post("/groups", name="G", slug=f"{slug}-{number}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await nexus.admin.get("/groups", limit=2, **cursor)
        assert len(page["items"]) <= 2
        seen += [group["slug"] for group in page["items"]]
        if "nextCursor" not in page:
            break
        cursor = {"cursor": page["nextCursor"]}

    assert len(seen) == len(set(seen))
    assert [name for name in seen if name.startswith(slug)] == [f"{slug}-{n}" for n in range(3)]


async def test_agents_join_and_leave_a_group(nexus: LiveNexus, slug: str) -> None:
    agent = await nexus.admin.agent(slug, groups=())
    joined = await nexus.admin.post("/groups/team/members", agentId=slug, role="lead")
    members = await nexus.admin.get("/groups/team/members")
    path = f"/groups/team/members/{agent['id']}"
    left = await nexus.admin.http.delete(path)
    again = await nexus.admin.http.delete(path)

    assert (joined["agentId"], joined["role"]) == (agent["id"], "lead")
    assert joined in members["items"]
    assert (left.status_code, again.status_code) == (204, 404)


async def test_a_project_is_made_shown_changed_and_archived(nexus: LiveNexus, slug: str) -> None:
    made = await nexus.admin.http.post(
        "/projects", json={"groupId": "team", "name": "P", "slug": slug, "oblivionTag": slug}
    )
    project = made.json()
    path = f"/projects/{project['id']}"
    changed = await nexus.admin.patch(path, dispatchPolicy="claim")
    listed = await nexus.admin.get("/projects", groupId="team", limit=200)
    archived = await nexus.admin.http.delete(path)
    late = await nexus.admin.http.post("/observer/tasks", json={"projectId": slug, "title": "x"})

    assert (made.status_code, made.headers["Location"]) == (201, path)
    assert (project["dispatchPolicy"], changed["dispatchPolicy"]) == ("assign", "claim")
    assert project["id"] in [item["id"] for item in listed["items"]]
    assert archived.status_code == 204
    assert late.status_code == 409
    assert (await nexus.admin.http.get("/projects?groupId=nope")).status_code == 404


async def test_an_agent_is_made_with_a_secret_that_is_shown_once(
    nexus: LiveNexus, slug: str
) -> None:
    made = await nexus.admin.http.post(
        "/observer/agents",
        json={"name": "Reviewer", "clientId": slug, "capabilities": ["python"]},
    )
    agent = made.json()

    assert (made.status_code, made.headers["Location"]) == (201, f"/observer/agents/{agent['id']}")
    assert agent["approvalStatus"] == "APPROVED"
    assert (agent["isConnected"], agent["connectionStatus"]) == (False, "offline")
    async with Admin(nexus.url, client_id=slug, secret=agent["clientSecret"]) as caller:
        assert await caller.get("/tasks/available") == []
    shown = await nexus.admin.get(f"/observer/agents/{slug}")
    assert shown == {name: value for name, value in agent.items() if name != "clientSecret"}


async def test_a_chosen_secret_is_never_shown(nexus: LiveNexus, slug: str) -> None:
    agent = await nexus.admin.agent(slug)

    assert "clientSecret" not in agent


async def test_an_agent_is_changed_woken_and_disconnected(nexus: LiveNexus, slug: str) -> None:
    agent = await nexus.admin.agent(slug)
    path = f"/observer/agents/{agent['id']}"

    changed = await nexus.admin.patch(path, name="New", email="a@example.org")
    emptied = await nexus.admin.patch(path, email=None)
    plain = await nexus.admin.http.post(f"{path}/wake")
    woken = await nexus.admin.post(f"{path}/wake", reason="manual", message="Look")
    nowhere = await nexus.admin.http.post(f"{path}/wake", json={"taskId": "nope"})
    disconnected = await nexus.admin.post(f"{path}/disconnect")

    assert (changed["name"], changed["email"]) == ("New", "a@example.org")
    assert "email" not in emptied
    assert plain.json() == woken == {"acknowledged": True}
    assert nowhere.status_code == 404
    assert disconnected["connectionStatus"] == "offline"


async def test_a_client_id_that_is_taken_is_a_conflict(nexus: LiveNexus) -> None:
    answer = await nexus.admin.http.post(
        "/observer/agents", json={"name": "Admin", "clientId": "admin"}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
