"""Agents ask to join with a registration token, and admins decide."""

import asyncio
import base64
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from fake_time import FakeTime
from live_nexus import ADMIN_SECRET, LiveNexus, live_nexus
from nexus.services.secrets import make_registration_token
from nexus.store import Tx
from nexus.store.schema import metadata

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = "/observer/registration-tokens"
AGENTS = "/observer/agents"
_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anyone(nexus: LiveNexus) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who has no credentials."""
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        yield http


async def invite(nexus: LiveNexus, **terms: Any) -> Any:
    return await nexus.admin.post(TOKENS, groupId="team", **terms)


def wish(token: str, **more: Any) -> dict[str, Any]:
    """Return a registration that fits, under a client id of its own."""
    own = {"name": "Newcomer", "clientId": f"newcomer-{next(_numbers)}"}
    return {"registrationToken": token, **own, **more}


async def join(nexus: LiveNexus, anyone: httpx2.AsyncClient, **more: Any) -> Any:
    """Register an agent with a token of its own and return what it was answered."""
    token = (await invite(nexus, maxUses=1))["token"]
    answer = await anyone.post("/auth/register", json=wish(token, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


def everything(tx: Tx) -> str:
    """Return all that is stored, as text."""
    return "\n".join(
        str(dict(row)) for table in metadata.tables.values() for row in tx.rows(table.select())
    )


async def token_answer(anyone: httpx2.AsyncClient, agent: dict[str, Any]) -> httpx2.Response:
    ids = {"client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
    return await anyone.post("/auth/token", json=ids)


async def status(anyone: httpx2.AsyncClient, client_id: str, secret: str) -> httpx2.Response:
    return await anyone.get("/auth/registration-status", auth=(client_id, secret))


# --- tokens ---------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_and_is_nowhere_afterwards(
    nexus: LiveNexus, caplog: pytest.LogCaptureFixture
) -> None:
    key = {"Idempotency-Key": "one-token"}
    asked = {"groupId": "team", "name": "Workshop", "maxUses": 3, "expiresInHours": 1.5}

    first = await nexus.admin.http.post(TOKENS, json=asked, headers=key)
    again = await nexus.admin.http.post(TOKENS, json=asked, headers=key)
    listed = await nexus.admin.get(TOKENS, limit=200)

    token = first.json().pop("token")
    assert (first.status_code, first.headers["Cache-Control"]) == (201, "no-store")
    assert token.startswith("reg_")
    assert len(base64.urlsafe_b64decode(token.removeprefix("reg_") + "=")) == 32, "256 bits"
    assert again.json() == {name: value for name, value in first.json().items() if name != "token"}
    (mine,) = [found for found in listed["items"] if found["id"] == first.json()["id"]]
    assert "token" not in mine
    assert (mine["name"], mine["state"], mine["uses"], mine["maxUses"]) == (
        *("Workshop", "active"),
        *(0, 3),
    )
    kept = await nexus.serving.nexus.platform.store.read(everything)
    assert mine["id"] in kept
    assert token not in kept
    assert token not in caplog.text
    assert token not in str(await nexus.admin.get("/observer/activity"))


@pytest.mark.parametrize(
    ("terms", "pointer", "says"),
    [
        ({"expiresInHours": 0}, "/expiresInHours", "greater than 0"),
        ({"expiresInHours": 1e9}, "/expiresInHours", "less than or equal"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt", "future"),
        ({"expiresAt": "9999-12-31T23:59:59.999-23:59"}, "/expiresAt", "ten years"),
        ({"expiresAt": "2030-01-01T00:00:00"}, "/expiresAt", "timezone"),
        ({"maxUses": 0}, "/maxUses", "greater than or equal to 1"),
        ({"expiresInHours": 1, "expiresAt": "2030-01-01T00:00:00Z"}, "", "not both"),
        ({"uses": 0}, "/uses", "no such field"),
        ({"token": "reg_mine"}, "/token", "no such field"),
    ],
)
async def test_terms_that_make_no_sense_are_refused_by_name(
    nexus: LiveNexus, terms: dict[str, Any], pointer: str, says: str
) -> None:
    answer = await nexus.admin.http.post(TOKENS, json={"groupId": "team", **terms})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payload")
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == pointer
    assert says in problem["detail"]


async def test_a_token_is_for_an_open_group_that_is_there(nexus: LiveNexus) -> None:
    await nexus.admin.post("/groups", name="Closed", slug="closed")
    assert (await nexus.admin.http.delete("/groups/closed")).status_code == 204

    absent = await nexus.admin.http.post(TOKENS, json={"groupId": "nowhere"})
    closed = await nexus.admin.http.post(TOKENS, json={"groupId": "closed"})

    assert (absent.status_code, closed.status_code) == (404, 409)


async def test_tokens_are_listed_page_by_page(nexus: LiveNexus) -> None:
    made = [(await invite(nexus))["id"] for _ in range(3)]

    seen: list[str] = []
    cursor = None
    while True:
        page = await nexus.admin.get(TOKENS, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [token["id"] for token in page["items"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            break

    assert seen[-3:] == made
    assert len(seen) == len(set(seen))


# --- asking to join -------------------------------------------------------------------------------


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
    }


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


# --- tokens that let nobody in --------------------------------------------------------------------


async def test_a_token_that_lets_nobody_in_says_why_to_whoever_has_it(tmp_path: Path) -> None:
    time = FakeTime()
    async with (
        live_nexus(tmp_path / "data", clock=time) as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        await nexus.admin.team()
        terms = ({"expiresInHours": 0.1}, {"maxUses": 1}, {"name": "later revoked"})
        expired, used, revoked = [await invite(nexus, **more) for more in terms]
        assert (await http.post("/auth/register", json=wish(used["token"]))).is_success
        assert (await nexus.admin.http.delete(f"{TOKENS}/{revoked['id']}")).status_code == 204
        time.advance(seconds=359.999)
        in_time = await http.post("/auth/register", json=wish(expired["token"]))
        time.advance(seconds=0.001)
        refused = [
            await http.post("/auth/register", json=wish(token["token"], clientSecret="a" * 8))
            for token in (expired, used, revoked)
        ]
        listed = (await nexus.admin.get(TOKENS))["items"]

    assert in_time.status_code == 201
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert [answer.json()["code"].removeprefix("registration_token_") for answer in refused] == [
        *("expired", "used_up", "revoked")
    ]
    assert [token["state"] for token in listed] == ["expired", "used_up", "revoked"]
    assert [token["uses"] for token in listed] == [1, 1, 0]


async def test_a_token_of_a_group_that_was_closed_lets_nobody_in(
    nexus: LiveNexus, anyone: httpx2.AsyncClient
) -> None:
    await nexus.admin.post("/groups", name="Ending", slug="ending")
    token = await nexus.admin.post(TOKENS, groupId="ending")
    assert (await nexus.admin.http.delete("/groups/ending")).status_code == 204

    answer = await anyone.post("/auth/register", json=wish(token["token"]))

    assert (answer.status_code, answer.json()["code"]) == (403, "registration_token_revoked")


async def test_revoking_twice_is_one_revocation_and_what_is_not_there_is_told(
    nexus: LiveNexus,
) -> None:
    token = await invite(nexus)

    answers = [await nexus.admin.http.delete(f"{TOKENS}/{token['id']}") for _ in range(2)]
    absent = await nexus.admin.http.delete(f"{TOKENS}/nope")

    assert [answer.status_code for answer in (*answers, absent)] == [204, 204, 404]
    feed = (await nexus.admin.get("/observer/activity", limit=5))["items"]
    told = [entry for entry in feed if entry["data"].get("tokenId") == token["id"]]
    assert [entry["type"] for entry in told] == ["token_revoked", "token_created"]


async def test_of_fifty_at_once_on_the_last_use_one_gets_in(
    tmp_path: Path, server_database: str
) -> None:
    async with (
        live_nexus(tmp_path / "data", database_url=server_database) as nexus,
        httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http,
    ):
        await nexus.admin.team()
        token = await invite(nexus, maxUses=3)
        for _ in range(2):
            assert (await http.post("/auth/register", json=wish(token["token"]))).is_success
        answers = await asyncio.gather(
            *(http.post("/auth/register", json=wish(token["token"])) for _ in range(50))
        )
        (listed,) = (await nexus.admin.get(TOKENS))["items"]
        count = await nexus.admin.get(f"{AGENTS}/pending/count")

    assert Counter(answer.status_code for answer in answers) == {201: 1, 403: 49}
    codes = {answer.json().get("code") for answer in answers}
    assert codes == {None, "registration_token_used_up"}
    assert (listed["uses"], count) == (3, {"count": 3})


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


# --- deciding -------------------------------------------------------------------------------------


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
    assert said.json() == {"approvalStatus": "APPROVED"}


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
    assert said.json() == {"approvalStatus": "REJECTED", "rejectionReason": reason}
    await nexus.admin.post(f"{AGENTS}/{registered['id']}/approve")
    assert (await token_answer(anyone, registered)).status_code == 200
    said = await status(anyone, registered["clientId"], registered["clientSecret"])
    assert said.json() == {"approvalStatus": "APPROVED"}


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
