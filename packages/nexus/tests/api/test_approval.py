"""Admins decide which of the agents that asked may join."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from live_nexus import Admin, LiveNexus, live_nexus
from newcomers import AGENTS, TOKENS, invite, join, status, token_answer, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_approved_agent_joins_its_group_and_gets_a_token(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    registered = await join(nexus, anyone)
    before = await token_answer(anyone, registered)

    approved = await nexus.admin.post(f"{AGENTS}/{registered['clientId']}/approve")

    after = await token_answer(anyone, registered)
    said = await status(anyone, registered["clientId"], registered["clientSecret"])
    members = (await nexus.admin.get("/groups/team/members"))["items"]
    assert (before.status_code, before.json()["code"]) == (401, "agent_pending")
    assert approved["approvalStatus"] == "APPROVED"
    assert "pendingGroup" not in approved
    assert [group["slug"] for group in approved["groups"]] == ["team"]
    assert registered["id"] in {member["agentId"] for member in members}
    assert after.status_code == 200
    assert said.json() == {"approvalStatus": "APPROVED", "isBanned": False}


async def test_a_rejected_agent_is_told_the_reason_and_may_be_approved_after_all(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    registered = await join(nexus, anyone)
    reason = "we have one; pending a review"

    await nexus.admin.post(f"{AGENTS}/{registered['id']}/reject", reason=reason)

    refused = await token_answer(anyone, registered)
    said = await status(anyone, registered["clientId"], registered["clientSecret"])
    assert (refused.status_code, refused.json()["code"]) == (401, "agent_rejected")
    assert reason in refused.json()["error_description"]
    rejected = {"approvalStatus": "REJECTED", "rejectionReason": reason, "isBanned": False}
    assert said.json() == rejected
    await nexus.admin.post(f"{AGENTS}/{registered['id']}/approve")
    assert (await token_answer(anyone, registered)).status_code == 200
    said = await status(anyone, registered["clientId"], registered["clientSecret"])
    assert said.json() == {"approvalStatus": "APPROVED", "isBanned": False}


async def test_a_decision_that_was_made_already_is_a_conflict(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    approved, rejected = await join(nexus, anyone), await join(nexus, anyone)
    await nexus.admin.post(f"{AGENTS}/{approved['id']}/approve")
    await nexus.admin.post(f"{AGENTS}/{rejected['id']}/reject")

    for path, says in (
        (f"{AGENTS}/{approved['id']}/approve", "is approved already"),
        (f"{AGENTS}/{approved['id']}/reject", "is approved; to keep it out, ban it"),
        (f"{AGENTS}/{rejected['id']}/reject", "was rejected already"),
    ):
        answer = await nexus.admin.http.post(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert says in answer.json()["detail"]
    made = await nexus.admin.agent("made-by-an-admin")
    answer = await nexus.admin.http.post(f"{AGENTS}/{made['id']}/approve")
    assert answer.status_code == 409


async def test_of_an_approval_and_a_rejection_at_once_the_second_hears_of_the_first(
    tmp_path: Path, server_database: str
) -> None:
    async with (
        live_nexus(tmp_path / "data", database_url=server_database) as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        await nexus.admin.team()
        for _ in range(10):
            path = f"{AGENTS}/{(await join(nexus, http))['id']}"
            rejected, approved, again = await asyncio.gather(
                *(
                    nexus.admin.http.post(f"{path}/{word}")
                    for word in ("reject", "approve", "approve")
                )
            )
            said = (await nexus.admin.get(path))["approvalStatus"]
            assert {approved.status_code, again.status_code} == {200, 409}
            assert rejected.status_code in {200, 409}
            assert said == "APPROVED", "a rejection comes before an approval, or not at all"


async def test_several_are_approved_at_once_each_answered_on_its_own(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    first, second, done = [await join(nexus, anyone) for _ in range(3)]
    await nexus.admin.post(f"{AGENTS}/{done['id']}/approve")
    names = [first["clientId"], "nobody", done["id"], second["id"], first["clientId"]]

    decided = await nexus.admin.post(f"{AGENTS}/approve", agentIds=names)

    assert [each["agentId"] for each in decided["items"]] == names[:4]
    assert [each.get("error", {}).get("code") for each in decided["items"]] == [
        *(None, "not_found", "conflict", None),
    ]
    for agent in (first, second):
        assert (await token_answer(anyone, agent)).status_code == 200


@pytest.mark.parametrize("names", [[], ["x"] * 101, [""], "x", None])
async def test_a_batch_of_odd_size_is_refused(nexus: LiveNexus, names: object) -> None:
    answer = await nexus.admin.http.post(f"{AGENTS}/approve", json={"agentIds": names})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payload")


async def test_those_who_wait_are_listed_and_counted(tmp_path: Path) -> None:
    async with (
        live_nexus(tmp_path / "data") as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        await nexus.admin.team()
        await nexus.admin.agent("old-hand")
        waiting = [(await join(nexus, http))["id"] for _ in range(5)]
        await nexus.admin.post(f"{AGENTS}/{waiting[1]}/approve")
        await nexus.admin.post(f"{AGENTS}/{waiting[3]}/reject")
        first = await nexus.admin.get(f"{AGENTS}/pending", limit=2)
        rest = await nexus.admin.get(f"{AGENTS}/pending", cursor=first["nextCursor"])
        count = await nexus.admin.get(f"{AGENTS}/pending/count")

    shown = first["items"] + rest["items"]
    assert [agent["id"] for agent in shown] == [waiting[0], waiting[2], waiting[4]]
    assert {agent["pendingGroup"]["slug"] for agent in shown} == {"team"}
    assert count == {"count": 3}


async def test_each_step_stands_in_the_feed(nexus: LiveNexus, anyone: httpx2.AsyncClient) -> None:
    yes, no = await join(nexus, anyone), await join(nexus, anyone)
    await nexus.admin.post(f"{AGENTS}/{yes['id']}/approve")
    await nexus.admin.post(f"{AGENTS}/{no['id']}/reject", reason="no need")

    feed = (await nexus.admin.get("/observer/activity", limit=20))["items"]

    for agent, types in (
        (yes, ["agent_approved", "agent_registered"]),
        (no, ["agent_rejected", "agent_registered"]),
    ):
        told = [entry for entry in feed if entry.get("agentId") == agent["id"]]
        assert [entry["type"] for entry in told] == types
    rejected = next(entry for entry in feed if entry["type"] == "agent_rejected")
    assert rejected["data"] == {"name": "Newcomer", "reason": "no need", "by": "admin"}
    secrets = [agent["clientSecret"] for agent in (yes, no)]
    assert not any(secret in str(feed) for secret in secrets)


async def test_those_who_wait_are_nobody_elses(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, stranger: Admin
) -> None:
    token = await invite(nexus, name="Ours")
    registered = (await anyone.post("/auth/register", json=wish(token["token"]))).json()
    path = f"{AGENTS}/{registered['clientId']}"

    lists = [await stranger.get(f"{AGENTS}/pending"), await stranger.get(TOKENS)]
    count = await stranger.get(f"{AGENTS}/pending/count")
    batch = await stranger.post(f"{AGENTS}/approve", agentIds=[registered["id"]])
    refused = [
        await stranger.http.post(f"{path}/approve"),
        await stranger.http.post(f"{path}/reject"),
        await stranger.http.delete(f"{TOKENS}/{token['id']}"),
        await stranger.http.post(TOKENS, json={"groupId": token["groupId"]}),
    ]

    assert [page["items"] for page in lists] == [[], []]
    assert count == {"count": 0}
    assert [each["error"]["code"] for each in batch["items"]] == ["not_found"]
    assert {answer.status_code for answer in refused} == {404}
    assert (await nexus.admin.get(path))["approvalStatus"] == "PENDING"
    assert registered["clientId"] not in str(await stranger.get("/observer/activity"))
