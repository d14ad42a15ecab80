"""Registration tokens are shown once, and let in whom their terms allow."""

import asyncio
import base64
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fake_time import FakeTime
from live_nexus import LiveNexus, live_nexus
from newcomers import AGENTS, TOKENS, invite, wish
from nexus.api import registration as api_registration
from nexus.services.secrets import make_registration_token
from nexus.store import Tx
from nexus.store.schema import metadata

pytestmark = pytest.mark.asyncio(loop_scope="module")


def everything(tx: Tx) -> str:
    """Return all that is stored, as text."""
    return "\n".join(
        str(dict(row)) for table in metadata.tables.values() for row in tx.rows(table.select())
    )


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


async def test_a_token_that_lets_nobody_in_has_no_secret_hashed(
    nexus: LiveNexus, anyone: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is slow on purpose: nobody is to keep Nexus busy with it who may not come in."""
    token = await invite(nexus)
    assert (await nexus.admin.http.delete(f"{TOKENS}/{token['id']}")).status_code == 204
    monkeypatch.setattr(api_registration, "hash_secret", None)

    answers = [
        await anyone.post("/auth/register", json=wish(text, clientSecret="chosen by a person"))
        for text in (token["token"], make_registration_token())
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


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
