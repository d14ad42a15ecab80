"""From a registration token to the first task, with the real SDK and a real Nexus."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import oblivion
from live_nexus import LiveNexus, live_nexus
from nexus.services.secrets import is_made
from oblivion import OblivionClient, Registration

DEADLINE_S = 20


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    """A Nexus with a team that has a project and no agent."""
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        yield nexus


@pytest.fixture
async def token(nexus: LiveNexus) -> str:
    """A token that lets one agent ask to join the team."""
    made = await nexus.admin.post("/observer/registration-tokens", groupId="team", maxUses=1)
    return str(made["token"])


def client_of(nexus: LiveNexus, joined: Registration, **more: Any) -> OblivionClient:
    assert joined.client_secret is not None
    return OblivionClient(nexus.url, joined.client_id, joined.client_secret, **more)


async def wait(nexus: LiveNexus, joined: Registration, **more: Any) -> Any:
    assert joined.client_secret is not None
    return await oblivion.wait_for_approval(
        nexus.url, joined.client_id, joined.client_secret, poll_interval=0.05, **more
    )


@pytest.mark.parametrize("policy", ["assign", "claim"])
@pytest.mark.parametrize("chosen", [None, "a chosen: secret % 41+ü"])
async def test_an_agent_asks_waits_connects_and_does_its_first_task(
    nexus: LiveNexus, token: str, policy: str, chosen: str | None
) -> None:
    await nexus.admin.project("work", group="team", policy=policy)
    task = await nexus.admin.task("Waits from before", project="work", description="one two")
    joined = await oblivion.register_agent(
        nexus.url,
        token,
        client_id="newcomer",
        client_secret=chosen,
        name="New <b>Comer</b>",
        capabilities=["text"],
    )
    client = client_of(nexus, joined)

    @client.on_task_assigned
    async def count(task: oblivion.TaskAssignedPayload) -> dict[str, int]:
        return {"words": len(task.description.split())}

    with pytest.raises(oblivion.AgentPending):
        await client.connect()
    with pytest.raises(oblivion.AgentPending):
        await wait(nexus, joined, timeout=0.2)

    waiting = asyncio.create_task(wait(nexus, joined))
    approved = await nexus.admin.post("/observer/agents/newcomer/approve")
    async with asyncio.timeout(DEADLINE_S):
        await waiting
        await client.connect()
    try:
        done = await nexus.admin.until(task["id"], "DONE")
    finally:
        await client.disconnect()

    assert [group["slug"] for group in approved["groups"]] == ["team"]
    assert approved["name"] == "New <b>Comer</b>"
    assert done["result"] == {"words": 2}
    assert done["claimedByAgentId"] == joined.agent_id


async def test_a_rejected_agent_hears_the_reason_wherever_it_asks(
    nexus: LiveNexus, token: str
) -> None:
    joined = await oblivion.register_agent(nexus.url, token, client_id="unwanted")
    waiting = asyncio.create_task(wait(nexus, joined))
    reason = "we have one; the rest is pending"
    await nexus.admin.post("/observer/agents/unwanted/reject", reason=reason)

    for asking in (waiting, client_of(nexus, joined).connect()):
        with pytest.raises(oblivion.AgentRejected, match=reason) as caught:
            async with asyncio.timeout(DEADLINE_S):
                await asking
        assert caught.value.code == "agent_rejected"
    assert joined.client_secret is not None
    status = await oblivion.registration_status(nexus.url, "unwanted", joined.client_secret)
    assert status.rejection_reason == reason

    await nexus.admin.post("/observer/agents/unwanted/approve")
    async with client_of(nexus, joined) as client:
        assert client.agent_id == joined.agent_id


async def test_what_nexus_refuses_is_typed_and_costs_nothing(nexus: LiveNexus, token: str) -> None:
    with pytest.raises(oblivion.ClientIdTaken, match="choose another one"):
        await oblivion.register_agent(nexus.url, token, client_id="admin")
    with pytest.raises(oblivion.PayloadRefused, match="clientId"):
        await oblivion.register_agent(nexus.url, token, client_id="odd one")
    with pytest.raises(oblivion.PayloadRefused, match="clientSecret"):
        await oblivion.register_agent(nexus.url, token, client_id="odd", client_secret="short")
    with pytest.raises(oblivion.RegistrationTokenRefused) as unknown:
        await oblivion.register_agent(nexus.url, "reg_unknown", client_id="newcomer")
    assert unknown.value.code == "registration_token_unknown"

    joined = await oblivion.register_agent(nexus.url, token, client_id="newcomer")
    with pytest.raises(oblivion.RegistrationTokenRefused) as used_up:
        await oblivion.register_agent(nexus.url, token, client_id="latecomer")
    assert used_up.value.code == "registration_token_used_up"
    with pytest.raises(oblivion.AuthenticationFailed):
        await oblivion.registration_status(nexus.url, joined.client_id, "obv_" + "x" * 43)


async def test_a_newcomer_gets_nothing_of_its_group_before_the_approval(
    nexus: LiveNexus, token: str
) -> None:
    joined = await oblivion.register_agent(nexus.url, token, client_id="newcomer")
    assert is_made(str(joined.client_secret)), "Nexus checks it as quickly as its own"
    members = await nexus.admin.get("/groups/team/members")
    shown = await nexus.admin.get("/observer/agents/newcomer")
    assert members["items"] == []
    assert (shown["groups"], shown["approvalStatus"]) == ([], "PENDING")
    assert shown["pendingGroup"]["slug"] == "team"
    assert str(joined.client_secret) not in str(shown)
