"""What people do is kept with who, what, when and from where; agents' work and looks are not."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from live_nexus import AGENT_SECRET, Admin, LiveNexus, live_nexus
from nexus.audit_anchor import read_anchors
from nexus.domain.audit_chain import audit_key
from nexus.services import audit
from nexus.services.platform import Platform
from nexus.store import Tx
from socket_agent import socket_agent, token_for
from two_nodes import two_nodes

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUDIT = "/observer/audit"


async def newest(caller: Admin, **wanted: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await caller.get(AUDIT, limit=1, **wanted))["items"][0]
    return found


async def test_an_act_is_kept_with_who_what_and_from_where(nexus: LiveNexus) -> None:
    group = await nexus.admin.post("/groups", name="Kept", slug="kept", description="why")

    entry = await newest(nexus.admin)

    assert (entry["actor"], entry["role"], entry["address"]) == ("admin", "admin", "127.0.0.1")
    assert (entry["action"], entry["target"]) == ("create_group", group["id"])
    assert entry["details"] == {"name": "Kept", "slug": "kept", "description": "why"}
    assert entry["at"] >= group["createdAt"]
    assert len(entry["seal"]) == 64


async def test_what_a_proxy_tells_is_from_where(nexus: LiveNexus) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7"}
    await nexus.admin.http.patch("/groups/team", json={"name": "Team"}, headers=headers)
    entry = await newest(nexus.admin)
    assert (entry["action"], entry["address"]) == ("edit_group", "198.51.100.7")


async def test_names_in_the_address_are_kept(nexus: LiveNexus) -> None:
    agent = await nexus.admin.agent("kept-agent")
    assert (await nexus.admin.http.delete("/groups/team/members/kept-agent")).is_success

    entry = await newest(nexus.admin)

    assert entry["action"] == "remove_member"
    assert entry["details"] == {"groupId": "team", "agentId": "kept-agent"} or entry["details"] == {
        "group_id": "team",
        "agent_id": "kept-agent",
    }
    await nexus.admin.post(f"/observer/agents/{agent['id']}/ban", reason="it misbehaves")
    banned = await newest(nexus.admin, action="ban_agent")
    assert (banned["target"], banned["details"]["reason"]) == (agent["id"], "it misbehaves")


async def test_a_person_who_moves_a_task_that_has_ended_is_kept(nexus: LiveNexus) -> None:
    task = await nexus.admin.task("ends")
    await nexus.admin.post(f"/observer/tasks/{task['id']}/cancel", reason="no need")
    await nexus.admin.post(f"/observer/tasks/{task['id']}/retry")
    await nexus.admin.patch(f"/tasks/{task['id']}/status", status="FAILED", error="gave up")

    found = (await nexus.admin.get(AUDIT, target=task["id"]))["items"]

    assert [entry["action"] for entry in found] == ["set_status", "retry_task", "cancel_task"]


async def test_refusals_looks_and_what_tells_of_itself_are_not_kept(nexus: LiveNexus) -> None:
    before = (await newest(nexus.admin))["seq"]
    task = await nexus.admin.task("told by the task")
    await nexus.admin.say(task["id"], "told by the thread")
    await nexus.admin.get("/groups")
    assert (await nexus.admin.http.post("/groups", json={})).status_code == 422
    taken = {"name": "T", "slug": "team"}
    assert (await nexus.admin.http.post("/groups", json=taken)).status_code == 409
    assert (await nexus.admin.http.delete("/groups/nope")).status_code == 404

    assert (await newest(nexus.admin))["seq"] == before


async def test_an_agents_work_is_not_kept(nexus: LiveNexus) -> None:
    await nexus.admin.agent("worker")
    token = await token_for(nexus.url, "worker", AGENT_SECRET)
    before = (await newest(nexus.admin))["seq"]
    async with (
        socket_agent(nexus.url, token) as agent,
        Admin(nexus.url, client_id="worker", secret=AGENT_SECRET) as http,
    ):
        await agent.ready()
        await nexus.admin.task("work")
        task = {"id": (await agent.until("task_assigned"))["taskId"]}
        await http.post(f"/tasks/{task['id']}/slack-reply", message="hello")
        await http.patch(f"/tasks/{task['id']}/status", status="IN_PROGRESS")
        done = {"taskId": task["id"], "attempt": 1, "status": "DONE"}
        await agent.call("task_update", done)
        await nexus.admin.until(task["id"], "DONE")

    assert (await newest(nexus.admin))["seq"] == before


async def test_who_asks_to_join_is_kept_without_its_secrets(nexus: LiveNexus) -> None:
    token = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    wish = {"registrationToken": token["token"], "name": "New", "clientId": "asks-to-join"}
    headers = {"Idempotency-Key": "join-1"}
    for _ in range(2):
        answer = await nexus.admin.http.post("/auth/register", json=wish, headers=headers)
        assert answer.status_code == 201

    found = (await nexus.admin.get(AUDIT, action="register_agent"))["items"]

    assert [(entry["actor"], entry["role"]) for entry in found] == [("asks-to-join", "agent")]
    assert found[0]["details"]["registrationTokenId"] == token["id"]
    assert token["token"] not in str(await nexus.admin.get(AUDIT, limit=200))


async def test_a_request_that_is_repeated_is_kept_once(nexus: LiveNexus) -> None:
    wish = {"name": "Once", "slug": "once"}
    headers = {"Idempotency-Key": "once-1"}
    for _ in range(3):
        assert (await nexus.admin.http.post("/groups", json=wish, headers=headers)).is_success

    found = (await nexus.admin.get(AUDIT, action="create_group"))["items"]

    assert [entry["details"]["slug"] for entry in found].count("once") == 1


async def test_an_act_that_cannot_be_kept_does_not_happen(
    nexus: LiveNexus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("the audit log is broken")

    monkeypatch.setattr(audit, "append", fail)
    answer = await nexus.admin.http.post("/groups", json={"name": "Never", "slug": "never"})

    assert answer.status_code == 500
    assert (await nexus.admin.http.get("/groups/never")).status_code == 404


async def test_it_is_an_admins_to_read_and_another_tenants_is_not_there(
    nexus: LiveNexus, viewer: Admin, agent: Admin, stranger: Admin
) -> None:
    for caller in (viewer, agent):
        assert (await caller.http.get(AUDIT)).status_code == 403
    assert (await stranger.get(AUDIT))["items"] == []
    await stranger.post("/groups", name="Theirs", slug="theirs")
    assert [entry["seq"] for entry in (await stranger.get(AUDIT))["items"]] == [1]
    assert "Theirs" not in str(await nexus.admin.get(AUDIT, limit=200))


async def test_it_is_read_page_by_page(nexus: LiveNexus) -> None:
    for number in range(5):
        await nexus.admin.patch("/groups/team", description=str(number))
    first = await nexus.admin.get(AUDIT, limit=2)
    second = await nexus.admin.get(AUDIT, limit=2, cursor=first["nextCursor"])

    seqs = [entry["seq"] for entry in first["items"] + second["items"]]
    assert seqs == list(range(seqs[0], seqs[0] - 4, -1))


async def test_whatever_was_answered_is_anchored_outside_and_the_chain_is_whole(
    tmp_path: Path, server_database: str
) -> None:
    folder = tmp_path / "data"
    async with live_nexus(folder, database_url=server_database) as nexus:
        await nexus.admin.team()
        await asyncio.gather(
            *(nexus.admin.patch("/groups/team", description=str(number)) for number in range(20))
        )
        seq = (await newest(nexus.admin))["seq"]
        (anchor,) = read_anchors(folder).values()
        assert anchor.seq == seq == 23
        platform = nexus.serving.nexus.platform
        (verdict,) = await platform.store.read(look, platform, [anchor])
        assert verdict.findings == []


def look(tx: Tx, platform: Platform, anchors: list[Any]) -> list[audit.Verdict]:
    return list(audit.verify(tx, audit_key(platform.pepper), anchors))


async def test_two_nodes_keep_one_chain(tmp_path: Path, postgres_url: str) -> None:
    async with two_nodes(tmp_path, postgres_url) as (a, b):
        await a.admin.team()
        await asyncio.gather(
            *(
                node.admin.patch("/groups/team", description=str(number))
                for number in range(20)
                for node in (a, b)
            )
        )
        platform = a.serving.nexus.platform
        anchors = [end for name in ("a", "b") for end in read_anchors(tmp_path / name).values()]
        (verdict,) = await platform.store.read(look, platform, anchors)

    assert (verdict.end.seq, verdict.findings) == (44, [])  # two acts are the nodes' own
    assert dataclasses.asdict(verdict)["slug"] == "default"
