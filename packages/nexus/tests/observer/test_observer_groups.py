"""Groups, projects and registration tokens in the Observer: made, changed, closed, shown."""

import re

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from browser import opened, person
from live_nexus import LiveNexus
from nexus.services import slack
from observer_scene import CORPUS
from observer_visitor import problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_team_is_built_and_gets_its_first_task(page: Page, nexus: LiveNexus) -> None:
    await nexus.admin.agent("mason", groups=())
    await opened(page, "/ui/groups")
    await page.get_by_role("link", name="New group").click()
    await page.get_by_label("Name", exact=True).fill("Builders")
    await page.get_by_label("Slug").fill("builders")
    await page.get_by_role("button", name="Create group").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Builders")
    await page.get_by_label("Agent", exact=True).fill("mason")
    await page.get_by_label("Role").fill("lead")
    await page.get_by_role("button", name="Add").click()
    await expect(page.locator(".list").first).to_contain_text("lead")
    await page.get_by_role("link", name="New project").click()
    await page.get_by_label("Name", exact=True).fill("House")
    await page.get_by_label("Slug").fill("house")
    await page.get_by_label("Tag").fill("house")
    await page.get_by_label("Dispatch").select_option(label="Agents claim tasks")
    await page.get_by_role("button", name="Create project").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("House")
    await expect(page.locator("div.facts")).to_contain_text("@house")
    made = await nexus.admin.get("/projects/house")
    assert made["dispatchPolicy"] == "claim"
    await page.get_by_role("link", name="New task").click()
    await expect(page.get_by_label("Project")).to_have_value(made["id"])
    await page.get_by_label("Title").fill("Lay the first stone")
    await page.get_by_role("button", name="Create task").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Lay the first stone")
    await opened(page, "/ui/projects/house")
    await expect(page.locator(".tile").first).to_have_text(re.compile(r"1\s*Waiting"))


async def test_what_others_change_appears_by_itself(page: Page, nexus: LiveNexus) -> None:
    group = await nexus.admin.post("/groups", name="Before", slug="watched")
    await nexus.admin.agent("watched-agent", groups=())
    await opened(page, "/ui/groups/watched")
    await nexus.admin.patch(f"/groups/{group['id']}", name="After")
    await expect(page.get_by_role("heading", level=1)).to_have_text("After")
    await nexus.admin.post(f"/groups/{group['id']}/members", agentId="watched-agent")
    await expect(page.locator(".list").first).to_contain_text("Watched Agent")
    answer = await nexus.admin.http.delete(f"/groups/{group['id']}/members/watched-agent")
    assert answer.is_success
    await expect(page.locator("main")).to_contain_text("Nobody is in it yet")
    project = await nexus.admin.project("watched-work", group="watched")
    await expect(page.locator("main")).to_contain_text("Watched-Work")
    await opened(page, "/ui/projects/watched-work")
    await nexus.admin.patch(f"/projects/{project['id']}", dispatchPolicy="claim")
    await expect(page.locator("div.facts")).to_contain_text("Agents claim tasks")


async def test_projects_are_changed_and_closed_and_say_where_they_are_in_slack(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    project = await nexus.admin.project("changing", group="team")
    form = {"name": "Changed", "oblivion_tag": "tagged", "dispatch_policy": "claim"}
    done = await admin.post(f"/ui/projects/{project['id']}/edit", data=form)
    assert done.status_code == 303
    shown = await nexus.admin.get("/projects/changing")
    assert (shown["name"], shown["oblivionTag"]) == ("Changed", "tagged")
    emptied = {"name": "Changed", "dispatch_policy": "assign"}
    await admin.post(f"/ui/projects/{project['id']}/edit", data=emptied)
    assert (await nexus.admin.get("/projects/changing")).get("oblivionTag") is None
    refused = await admin.post(
        f"/ui/projects/{project['id']}/edit", data={**emptied, "oblivion_tag": "no tag"}
    )
    assert refused.status_code == 422
    assert "such as backend" in problem_of(refused)
    store = nexus.serving.nexus.platform.store
    owner = await store.read(lambda tx: slack.owners(tx, [project["id"]])[0])
    await store.write(lambda tx: slack.keep_channel(tx, owner, "C1", "team-changing"))
    assert "in Slack #team-changing" in (await admin.get("/ui/projects/changing")).text
    await admin.post(f"/ui/projects/{project['id']}/archive")
    closed = await admin.get(f"/ui/projects/{project['id']}")
    assert "no longer handed out" in closed.text
    assert "/ui/tasks/new?project_id" not in closed.text
    assert "Changed" not in (await admin.get("/ui/projects")).text


async def test_archived_groups_are_out_of_the_way_but_not_gone(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    group = await nexus.admin.post("/groups", name="Of yesterday", slug="yesterday")
    form = {"name": "Of yesterday", "description": "It was good."}
    await admin.post(f"/ui/groups/{group['id']}/edit", data=form)
    assert (await nexus.admin.get("/groups/yesterday"))["description"] == "It was good."
    assert (await admin.post(f"/ui/groups/{group['id']}/archive")).status_code == 303
    assert "Of yesterday" not in (await admin.get("/ui/groups")).text
    assert "Of yesterday" in (await admin.get("/ui/groups?archived=1")).text
    assert "Archived" in (await admin.get("/ui/groups/yesterday")).text


async def test_a_role_that_is_too_long_is_refused_wherever_it_comes_from(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    await nexus.admin.agent("long-role", groups=())
    wish = {"agentId": "long-role", "role": "a" * 17}
    answer = await nexus.admin.http.post("/groups/team/members", json=wish)
    assert answer.status_code == 422
    assert "at most 16 characters" in answer.text
    form = {"agent_id": "long-role", "role": "a" * 17}
    refused = await admin.post("/ui/groups/team/members", data=form)
    assert refused.status_code == 422
    assert "at most 16 characters" in problem_of(refused)
    longest = {"agentId": "long-role", "role": "a" * 16}
    assert (await nexus.admin.post("/groups/team/members", **longest))["role"] == "a" * 16


async def test_a_taken_slug_is_said_and_what_was_written_stays(
    nexus: LiveNexus, browser: Browser
) -> None:
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link) as (page, _):  # the browser notes the 409 itself
        await opened(page, "/ui/groups/new")
        await page.get_by_label("Name", exact=True).fill("Another team")
        await page.get_by_label("Slug").fill("team")
        async with page.expect_response("**/ui/groups") as answered:
            await page.get_by_role("button", name="Create group").click()
        assert (await answered.value).status == 409
        await expect(page.locator(".toast.bad")).to_contain_text("'team' is taken")
        await expect(page.get_by_label("Name", exact=True)).to_have_value("Another team")


async def test_a_registration_token_is_shown_once_used_and_revoked(
    page: Page, nexus: LiveNexus
) -> None:
    await opened(page, "/ui/tokens")
    await page.get_by_label("Name, to know it by").fill("CI runners")
    await page.get_by_label("Agents at most").fill("2")
    await page.get_by_role("button", name="Make token").click()
    shown = page.locator("#secret")
    await expect(shown).to_have_text(re.compile("^reg_"))
    token = await shown.inner_text()
    await page.get_by_role("link", name="I have it; show the tokens").click()
    row = page.locator("tr", has_text="CI runners")
    await expect(row).to_contain_text("0 of 2")
    assert token not in await page.content()
    await page.go_back()
    assert token not in await page.content()
    await opened(page, "/ui/tokens")
    wish = {"registrationToken": token, "name": "Runner", "clientId": "runner-1"}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        assert (await http.post("/auth/register", json=wish)).is_success
        await expect(row).to_contain_text("1 of 2")
        await row.get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("Revoked")
        late = await http.post("/auth/register", json={**wish, "clientId": "runner-2"})
        assert not late.is_success


async def test_a_limit_that_is_no_number_makes_no_token_without_one(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    before = (await nexus.admin.get("/observer/registration-tokens"))["items"]
    form = {"group_id": "team", "max_uses": "two"}
    assert (await admin.post("/ui/tokens", data=form)).status_code == 422
    assert (await nexus.admin.get("/observer/registration-tokens"))["items"] == before


@pytest.mark.parametrize("said", CORPUS)
async def test_what_is_written_about_groups_and_projects_is_text(
    page: Page, nexus: LiveNexus, said: str
) -> None:
    slug = f"odd-{CORPUS.index(said)}"
    await nexus.admin.post("/groups", name=said, slug=slug, description=said)
    await nexus.admin.post(
        "/projects", groupId=slug, name=said, slug=slug, description=said, dispatchPolicy="assign"
    )
    await nexus.admin.post("/observer/registration-tokens", groupId=slug, name=said)
    for path in (f"/ui/groups/{slug}", f"/ui/projects/{slug}"):
        await opened(page, path)
        await expect(page.get_by_role("heading", level=1)).to_have_text(said)
        await expect(page.locator(".prose")).to_have_text(said)
        await page.get_by_text("Edit", exact=True).click()
        await expect(page.get_by_label("Name", exact=True)).to_have_value(said)
        assert await page.locator("main script, main img").count() == 0
    for path in ("/ui/groups", "/ui/projects", "/ui/tokens", "/ui/agents/new", "/ui/projects/new"):
        await opened(page, path)
        await expect(page.locator("main")).to_contain_text(said)
        assert await page.locator("main script, main img").count() == 0
