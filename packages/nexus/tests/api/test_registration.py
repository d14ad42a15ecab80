"""Agents ask to join with a registration token, and learn how that stands."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from live_nexus import ADMIN_SECRET, LiveNexus, live_nexus
from newcomers import AGENTS, TOKENS, invite, join, status, wish
from nexus.services import registration
from nexus.services.secrets import make_registration_token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/auth/register", "/agents/register"])
async def test_whoever_has_a_token_may_ask_to_join_its_group(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, path: str
) -> None:
    token = await invite(nexus)
    asked = wish(token["token"], description="Counts", email="a@b.c", capabilities=["text"])

    answer = await anyone.post(path, json=asked)

    registered = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert registered["id"] == registered["agentId"]
    assert registered["approvalStatus"] == "PENDING"
    assert registered["pendingGroup"]["slug"] == "team"
    assert registered["clientSecret"].startswith("obv_")
    shown = await nexus.admin.get(f"{AGENTS}/{asked['clientId']}")
    assert shown["groups"] == []
    assert (shown["name"], shown["description"], shown["email"], shown["capabilities"]) == (
        *("Newcomer", "Counts", "a@b.c", ["text"]),
    )


async def test_a_chosen_secret_is_not_repeated_and_works_for_the_status(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    registered = await join(nexus, anyone, clientSecret="chosen: ü+%20")

    answer = await status(anyone, registered["clientId"], "chosen: ü+%20")

    assert "clientSecret" not in registered
    assert answer.json() == {
        "approvalStatus": "PENDING",
        "pendingGroup": registered["pendingGroup"],
        "isBanned": False,
    }


async def test_a_banned_agent_is_told_so_until_it_is_let_in_again(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    agent = await join(nexus, anyone)
    path = f"{AGENTS}/{agent['id']}"
    await nexus.admin.post(f"{path}/approve")
    said = []
    for act in ("ban", "unban"):
        await nexus.admin.post(f"{path}/{act}")
        said.append((await status(anyone, agent["clientId"], agent["clientSecret"])).json())

    assert said == [{"approvalStatus": "APPROVED", "isBanned": banned} for banned in (True, False)]


async def test_the_status_is_for_nobody_else(nexus: LiveNexus, anyone: httpx2.AsyncClient) -> None:
    registered = await join(nexus, anyone)

    wrong = await status(anyone, registered["clientId"], "obv_" + "x" * 43)
    unknown = await status(anyone, "nobody", "obv_" + "x" * 43)
    nothing = await anyone.get("/auth/registration-status")
    garbled = await anyone.get("/auth/registration-status", headers={"Authorization": "Basic !!!"})
    no_agent = await nexus.admin.http.get("/auth/registration-status")

    assert {answer.status_code for answer in (wrong, unknown, nothing, garbled, no_agent)} == {401}
    assert wrong.json() == unknown.json()
    assert all(
        answer.headers["WWW-Authenticate"].startswith("Basic ")
        for answer in (wrong, unknown, nothing, garbled)
    )


async def test_people_are_told_that_only_agents_are_approved(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    answer = await status(anyone, "admin", ADMIN_SECRET)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "field",
    [
        {"approvalStatus": "APPROVED"},
        {"approval_status": "APPROVED"},
        {"tenantId": "default"},
        {"role": "admin"},
        {"groupIds": ["team"]},
        {"id": "x"},
        {"agentId": "x"},
    ],
)
async def test_nobody_gives_itself_more_than_it_may_ask_for(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, field: dict[str, Any]
) -> None:
    token = await invite(nexus, maxUses=1)
    asked = wish(token["token"], **field)

    refused = await anyone.post("/auth/register", json=asked)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_payload")
    assert refused.json()["errors"] == [
        {"pointer": f"/{next(iter(field))}", "detail": "there is no such field"}
    ]
    assert token["token"] not in refused.text
    assert (await anyone.post("/auth/register", json=wish(token["token"]))).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clientId", ""),
        ("clientId", "../admin"),
        ("clientId", "a b"),
        ("clientId", "naïve"),
        ("clientId", "\u202enimda"),
        ("clientId", "a" * 129),
        ("clientId", ".hidden"),
        ("clientId", "x\n"),
        ("clientId", "'; DROP TABLE agents; --"),
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 501),
        ("name", "nul\x00"),
        ("clientSecret", "short"),
        ("clientSecret", "x" * 257),
        ("capabilities", ["two words"]),
        ("capabilities", ["x"] * 65),
        ("registrationToken", ""),
        ("registrationToken", "x" * 257),
        ("registrationToken", None),
    ],
)
async def test_odd_values_are_refused_by_the_name_of_their_field(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, field: str, value: object
) -> None:
    token = (await invite(nexus))["token"]

    answer = await anyone.post("/auth/register", json=wish(token) | {field: value})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payload")
    assert answer.json()["detail"].lstrip("/").startswith((field, "text"))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "'); DROP TABLE agents; --", "💥"])
async def test_what_an_agent_calls_itself_is_kept_as_text(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, text: str
) -> None:
    registered = await join(nexus, anyone, name=text, description=text)

    shown = await nexus.admin.get(f"{AGENTS}/{registered['id']}")

    assert (shown["name"], shown["description"]) == (text, text)


@pytest.mark.parametrize("taken", ["admin", "first", "pending", "approve"])
async def test_a_taken_client_id_costs_no_use_of_the_token(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, taken: str
) -> None:
    if taken == "first":
        await join(nexus, anyone, clientId=taken)
    token = await invite(nexus, maxUses=1)

    refused = await anyone.post("/auth/register", json=wish(token["token"], clientId=taken))
    then = await anyone.post("/auth/register", json=wish(token["token"]))

    assert (refused.status_code, refused.json()["code"]) == (409, "client_id_taken")
    assert then.status_code == 201


async def test_without_a_good_token_nobody_learns_which_client_ids_are_taken(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    taken = await anyone.post(
        "/auth/register", json=wish(make_registration_token(), clientId="admin")
    )
    free = await anyone.post("/auth/register", json=wish(make_registration_token()))

    assert taken.status_code == free.status_code == 403
    assert taken.json() == free.json()
    assert taken.json()["code"] == "registration_token_unknown"


async def test_a_registration_that_comes_again_is_answered_again(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    token = await invite(nexus, maxUses=1)
    asked, key = wish(token["token"]), {"Idempotency-Key": "join-1"}

    first = await anyone.post("/auth/register", json=asked, headers=key)
    again = await anyone.post("/auth/register", json=asked, headers=key)
    other = await anyone.post("/auth/register", json=asked | {"name": "Other"}, headers=key)
    strangers = await anyone.post(
        "/auth/register", json=asked | {"registrationToken": "reg_mine"}, headers=key
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() | {"clientSecret": first.json()["clientSecret"]} == first.json()
    assert "clientSecret" not in again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert strangers.status_code == 403


async def test_of_many_at_once_under_one_client_id_one_gets_it_and_one_use_is_spent(
    tmp_path: Path, server_database: str
) -> None:
    async with (
        live_nexus(tmp_path / "data", database_url=server_database) as nexus,
        httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http,
    ):
        await nexus.admin.team()
        token = await invite(nexus, maxUses=50)
        asked = wish(token["token"])
        answers = await asyncio.gather(
            *(http.post("/auth/register", json=asked) for _ in range(20))
        )
        (listed,) = (await nexus.admin.get(TOKENS))["items"]

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert {answer.json().get("code") for answer in answers} == {None, "client_id_taken"}
    assert listed["uses"] == 1


async def test_copies_of_one_registration_at_once_make_one_agent(
    tmp_path: Path, server_database: str
) -> None:
    async with (
        live_nexus(tmp_path / "data", database_url=server_database) as nexus,
        httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http,
    ):
        await nexus.admin.team()
        token = await invite(nexus, maxUses=1)
        asked, key = wish(token["token"]), {"Idempotency-Key": "copies"}
        answers = await asyncio.gather(
            *(http.post("/auth/register", json=asked, headers=key) for _ in range(20))
        )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("clientSecret" in answer.json() for answer in answers) == 1


async def test_those_who_wait_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "MOST_PENDING", 3)
    async with (
        live_nexus(tmp_path / "data") as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        await nexus.admin.team()
        token = (await invite(nexus))["token"]
        first, *_ = [await http.post("/auth/register", json=wish(token)) for _ in range(3)]
        refused = await http.post("/auth/register", json=wish(token))
        await nexus.admin.post(f"{AGENTS}/{first.json()['id']}/approve")
        then = await http.post("/auth/register", json=wish(token))

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "60"
    assert "3 agents wait" in refused.json()["detail"]
    assert then.status_code == 201
