"""Agents in the Observer: made, let in, steered and cut off; a secret is seen once."""

import re
from typing import Any

import httpx2
import pytest
from playwright.async_api import Page, expect

from browser import opened
from eventually import eventually
from live_nexus import AGENT_SECRET, LiveNexus
from observer_scene import CORPUS, Scene
from observer_visitor import problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONCE = "c" * 32


async def is_good(nexus: LiveNexus, client_id: str, secret: str) -> bool:
    """Say whether Nexus gives a token for this secret."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        return (await http.post("/auth/token", data=form)).is_success


async def newcomer(nexus: LiveNexus, client_id: str) -> str:
    """Have an agent ask to join the group ``team``; return its id."""
    token = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    wish = {"registrationToken": token["token"], "name": client_id.title(), "clientId": client_id}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.post("/auth/register", json=wish)
    assert answer.is_success, answer.text
    return str(answer.json()["agentId"])


async def test_a_new_agents_secret_is_shown_once_and_never_again(
    page: Page, nexus: LiveNexus
) -> None:
    await opened(page, "/ui/agents")
    await page.get_by_role("link", name="New agent").click()
    await page.get_by_label("Name").fill("Margaret")
    await page.get_by_label("Client id").fill("margaret")
    await page.get_by_label("Capabilities").fill("python, code-review")
    await page.get_by_role("button", name="Create agent").click()
    shown = page.locator("#secret")
    await expect(shown).to_have_text(re.compile("^obv_"))
    secret = await shown.inner_text()
    assert await is_good(nexus, "margaret", secret)
    await nexus.admin.task("Something happens", requiredCapabilities=["nobody-has-it"])
    await page.wait_for_timeout(1500)  # in which a page would have come anew
    await expect(shown).to_have_text(secret)
    made = await nexus.admin.get("/observer/agents/margaret")
    assert made["capabilities"] == ["code-review", "python"]
    assert [group["slug"] for group in made["groups"]] == ["team"]
    await page.get_by_role("link", name="I have it; show the agent").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Margaret")
    assert secret not in await page.content()
    await page.go_back()
    await expect(page.locator("#main")).to_be_visible()
    assert secret not in await page.content()
    await page.reload()
    assert secret not in await page.content()


async def test_a_form_that_comes_again_makes_no_second_agent_and_shows_no_secret(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    form = {"name": "Twice", "client_id": "twice", "once": ONCE}
    first = await admin.post("/ui/agents", data=form)
    assert first.status_code == 201
    assert "obv_" in first.text
    assert first.headers["Cache-Control"] == "no-store"
    again = await admin.post("/ui/agents", data=form)
    assert again.status_code == 303
    shown = await admin.get(again.headers["Location"])
    assert "its secret was shown then" in shown.text
    assert "obv_" not in shown.text


async def test_a_secret_is_rotated_and_the_old_one_ends_when_it_was_said(
    nexus: LiveNexus, page: Page
) -> None:
    await nexus.admin.agent("rotated")
    await opened(page, "/ui/agents/rotated")
    await page.get_by_text("Rotate secret").click()
    await page.get_by_label("The old secret").select_option(label="ends now, with its session")
    await page.get_by_role("button", name="Make a new secret").click()
    shown = page.locator("#secret")
    await expect(shown).to_have_text(re.compile("^obv_"))
    assert await is_good(nexus, "rotated", await shown.inner_text())
    assert not await is_good(nexus, "rotated", AGENT_SECRET)
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rotated")


async def test_agents_that_ask_are_let_in_and_turned_away(page: Page, nexus: LiveNexus) -> None:
    wanted, unwanted = await newcomer(nexus, "wanted"), await newcomer(nexus, "unwanted")
    await opened(page, "/ui/agents")
    await page.get_by_role("link", name="Look at them").click()
    card = page.locator(f"#a{wanted}")
    await expect(card).to_contain_text("Asks to join Team")
    await card.get_by_role("button", name="Approve").click()
    await expect(card).to_have_count(0)
    assert (await nexus.admin.get(f"/observer/agents/{wanted}"))["approvalStatus"] == "APPROVED"
    await opened(page, f"/ui/agents/{unwanted}")
    await page.get_by_text("Reject", exact=True).click()
    await page.get_by_label("Reason").fill("Nobody knows you.")
    await page.get_by_role("button", name="Reject it").click()
    await expect(page.locator(".banner")).to_contain_text("Turned away: Nobody knows you.")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("div.facts")).to_contain_text("Offline")


async def test_what_an_agent_does_is_seen_as_it_does_it(page: Page, team: Scene) -> None:
    await opened(page, "/ui/agents")
    card = page.locator("li.agent", has=page.get_by_role("link", name="Ada", exact=True))
    await expect(card).to_contain_text("Connected")
    given = [await team.give(f"Seen on the card {n}") for n in range(2)]
    await expect(card).to_contain_text("Seen on the card")
    await card.get_by_role("link", name=re.compile("Seen on the card")).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Seen on the card")
    for task in given:
        await team.nexus.admin.http.patch(
            f"/tasks/{task['id']}/status", json={"status": "CANCELLED"}
        )


async def test_an_agent_is_woken_and_disconnected(page: Page, team: Scene) -> None:
    await opened(page, "/ui/agents/ada")
    await page.get_by_text("Wake", exact=True).click()
    await page.get_by_label("Message").fill("Are you there?")
    await page.get_by_role("button", name="Wake it").click()
    await expect(page.locator(".toast").last).to_contain_text("called")
    called = await team.agents["ada"].until("wake_up")
    assert called["message"] == "Are you there?"
    await page.get_by_text("Disconnect", exact=True).click()
    await page.get_by_role("button", name="Disconnect it").click()

    async def gone() -> bool:
        return not (await team.nexus.admin.get("/observer/agents/ada"))["isConnected"]

    await eventually(gone, what="the session ends")


async def test_a_profile_is_changed_and_what_is_left_empty_becomes_empty(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    await nexus.admin.agent("edited")
    form = {"name": "New name", "description": "Words", "email": "a@b.example"}
    done = await admin.post("/ui/agents/edited/edit", data={**form, "capabilities": "go rust"})
    assert done.status_code == 303
    shown = await nexus.admin.get("/observer/agents/edited")
    assert shown["name"] == "New name"
    assert shown["capabilities"] == ["go", "rust"]
    await admin.post("/ui/agents/edited/edit", data={"name": "New name"})
    emptied = await nexus.admin.get("/observer/agents/edited")
    assert (emptied["description"], emptied.get("email"), emptied["capabilities"]) == ("", None, [])
    refused = await admin.post("/ui/agents/edited/edit", data={"name": " "})
    assert refused.status_code == 422
    assert "name" in problem_of(refused).lower()


async def test_an_agent_joins_groups_and_leaves_them(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    await nexus.admin.agent("joiner", groups=())
    group = await nexus.admin.get("/groups/team")
    form = {"group_id": group["id"], "role": "lead"}
    assert (await admin.post("/ui/agents/joiner/groups", data=form)).status_code == 303
    page = await admin.get("/ui/agents/joiner")
    assert "lead" in page.text
    left = await admin.post(f"/ui/agents/joiner/groups/{group['id']}/remove")
    assert left.status_code == 303
    assert (await nexus.admin.get("/observer/agents/joiner"))["groups"] == []
    entries = (await nexus.admin.get("/observer/audit", limit=2))["items"]
    assert [entry["action"] for entry in entries] == ["remove_member", "add_member"]


async def test_thousands_of_agents_are_searched_and_paged(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    for number in range(60):
        await nexus.admin.post(
            "/observer/agents",
            name=f"Crowd {number:02}",
            clientId=f"crowd-{number:02}",
            clientSecret=AGENT_SECRET,
            capabilities=["juggling"] if number % 20 == 0 else [],
        )

    async def names(**asked: Any) -> list[str]:
        shown = await admin.get("/ui/agents", params=asked)
        assert shown.status_code == 200, shown.text
        return re.findall(r'<a href="/ui/agents/[0-9a-z]{18}">([^<]+)</a></h2>', shown.text)

    first = await admin.get("/ui/agents", params={"text": "CROWD"})
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following is not None
    rest = await admin.get(following[1].replace("&amp;", "&"))
    assert first.text.count('<li class="agent"') == 48
    assert rest.text.count('<li class="agent"') == 12
    assert await names(capability="juggling") == ["Crowd 40", "Crowd 20", "Crowd 00"]
    assert await names(capability="jug") == []
    assert await names(text="crowd-07") == ["Crowd 07"]
    assert await names(text="100%") == []
    assert "Crowd 00" not in await names(standing="online", text="crowd")
    assert len(await names(standing="offline", text="crowd")) == 48
    await nexus.admin.post("/observer/agents/crowd-03/ban")
    assert await names(standing="banned", text="crowd") == ["Crowd 03"]
    assert (await admin.get("/ui/agents", params={"standing": "asleep"})).status_code == 422


@pytest.mark.parametrize("said", CORPUS)
async def test_what_is_written_about_agents_is_text(
    page: Page, nexus: LiveNexus, said: str
) -> None:
    agent_id = await newcomer(nexus, f"odd-{abs(hash(said))}")
    await nexus.admin.patch(f"/observer/agents/{agent_id}", name=said, description=said, email=said)
    await nexus.admin.post(f"/observer/agents/{agent_id}/reject", reason=said)
    await opened(page, f"/ui/agents/{agent_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(said)
    await expect(page.locator(".banner")).to_contain_text(said)
    await expect(page.locator("dl.facts")).to_contain_text(said)
    await page.get_by_text("Edit", exact=True).click()
    await expect(page.get_by_label("Name")).to_have_value(said)
    await expect(page.locator("textarea[name=description]")).to_have_value(said)
    await page.goto(f"/ui/agents?text={agent_id}")
    await opened(page, "/ui/agents?standing=rejected")
    await expect(page.locator(f"#a{agent_id}")).to_contain_text(said)
    assert await page.locator("main script, main img").count() == 0
