"""Who guesses at secrets gets nowhere, and whoever knows the right one gets in all the while."""

import asyncio
import time as real_time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from eventually import eventually
from fake_time import FakeTime
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.api.guard import Guard, site_of
from nexus.domain.limits import GuessLimits
from nexus.services.secrets import make_secret
from oblivion import ConnectRefused, OblivionClient

CHOSEN = "correct horse battery"
AT_ONCE = 20


@pytest.fixture
async def nexus(tmp_path: Path, time: FakeTime) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("made")
        await nexus.admin.post(
            "/observer/agents", name="Chosen", clientId="chosen", clientSecret=CHOSEN
        )
        yield nexus


async def ask(
    http: httpx2.AsyncClient, client_id: str, secret: str, *, address: str | None = None
) -> httpx2.Response:
    headers = {} if address is None else {"X-Forwarded-For": address}
    wish = {"client_id": client_id, "client_secret": secret}
    return await http.post("/auth/token", json=wish, headers=headers)


async def guess(
    nexus: LiveNexus, client_id: str, guesses: Iterable[str], *, address: str | None = None
) -> Counter[int]:
    """Make many guesses, some at a time; return how often each status was the answer."""
    waiting = iter(guesses)
    answers: Counter[int] = Counter()

    async def one_after_the_other(http: httpx2.AsyncClient) -> None:
        for secret in waiting:
            answer = await ask(http, client_id, secret, address=address)
            answers[answer.status_code] += 1

    limits = httpx2.Limits(max_connections=AT_ONCE)
    async with httpx2.AsyncClient(base_url=nexus.url, limits=limits, timeout=30) as http:
        await asyncio.gather(*(one_after_the_other(http) for _ in range(AT_ONCE)))
    return answers


async def gets_in(
    nexus: LiveNexus, client_id: str, secret: str, *, address: str | None = None
) -> bool:
    async with httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http:
        return (await ask(http, client_id, secret, address=address)).is_success


@pytest.mark.parametrize(("client_id", "right"), [("made", AGENT_SECRET), ("chosen", CHOSEN)])
async def test_a_thousand_guesses_get_nowhere_and_the_client_gets_in_meanwhile(
    nexus: LiveNexus, client_id: str, right: str
) -> None:
    """From the same address, as behind one router; the client has been here before."""
    assert await gets_in(nexus, client_id, right)
    kind = make_secret if client_id == "made" else _word
    async with asyncio.TaskGroup() as group:
        guesses = [kind() for _ in range(1_000)]
        guessing = group.create_task(guess(nexus, client_id, guesses))
        while not guessing.done():
            assert await gets_in(nexus, client_id, right)
    answers = guessing.result()
    assert answers[401] == 10  # the clock stands still, so nothing is allowed anew
    assert answers[429] == 990


def _word() -> str:
    return make_secret().removeprefix("obv_")


async def test_a_client_that_was_never_here_gets_in_from_elsewhere(tmp_path: Path) -> None:
    few = {"guesses_per_minute": 3, "guesses_per_client": 12}
    async with live_nexus(tmp_path / "data", clock=FakeTime(), **few) as nexus:
        await nexus.admin.post(
            "/observer/agents", name="Chosen", clientId="chosen", clientSecret=CHOSEN
        )
        for number in range(4):
            spread = await guess(nexus, "chosen", [_word()] * 5, address=f"10.0.0.{number}")
            assert spread == {401: 3, 429: 2}

        late = await guess(nexus, "chosen", [_word()] * 5, address="10.0.1.1")

        assert late == {401: 1, 429: 4}  # of a client under attack, each address has one guess
        assert await gets_in(nexus, "chosen", CHOSEN, address="10.0.2.2")


async def test_after_a_while_wrong_secrets_are_looked_at_again(
    nexus: LiveNexus, time: FakeTime
) -> None:
    await guess(nexus, "chosen", [_word()] * 11)
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        refused = await ask(http, "chosen", CHOSEN)
        assert refused.status_code == 429
        wait = int(refused.headers["Retry-After"])
        assert 0 < wait <= 6
        assert refused.json()["error"] == "temporarily_unavailable"
        assert f"{wait} s" in refused.json()["error_description"]
        time.advance(seconds=wait)
        assert (await ask(http, "chosen", CHOSEN)).is_success


async def test_an_address_cannot_guess_at_many_clients_either(nexus: LiveNexus) -> None:
    answers: Counter[int] = Counter()
    for number in range(30):
        answers += await guess(nexus, f"client-{number}", [make_secret()] * 5)
    assert answers == {401: 100, 429: 50}
    assert await gets_in(nexus, "made", AGENT_SECRET)


async def test_guesses_at_a_client_that_is_not_there_are_answered_alike(nexus: LiveNexus) -> None:
    for kind in (make_secret, _word):
        guesses = [kind() for _ in range(12)]
        known = await guess(nexus, "chosen", guesses, address=f"10.1.0.{len(kind())}")
        unknown = await guess(nexus, "nobody", guesses, address=f"10.2.0.{len(kind())}")
        assert known == unknown == {401: 10, 429: 2}


async def test_a_storm_of_right_secrets_behind_one_address_is_never_refused(
    tmp_path: Path,
) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        names = [f"agent-{number}" for number in range(100)]
        for name in names:
            await nexus.admin.agent(name)
        waiting = iter(names * 20)
        answers: Counter[int] = Counter()

        async def storm(http: httpx2.AsyncClient) -> None:
            for name in waiting:
                answers[(await ask(http, name, AGENT_SECRET)).status_code] += 1

        async with httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http:
            await asyncio.gather(*(storm(http) for _ in range(AT_ONCE)))
        assert answers == {200: 2_000}


async def test_a_chosen_secret_that_was_right_before_is_checked_quickly(nexus: LiveNexus) -> None:
    """So that agents with such secrets renew their tokens without 20 ms of a core each."""
    assert await gets_in(nexus, "chosen", CHOSEN)
    began = real_time.process_time()
    for _ in range(8):
        assert await gets_in(nexus, "chosen", CHOSEN)
    quick = real_time.process_time() - began
    began = real_time.process_time()
    for number in range(8):
        assert not await gets_in(nexus, "chosen", _word(), address=f"10.3.0.{number}")
    assert quick < (real_time.process_time() - began) / 2


async def test_a_secret_that_was_replaced_is_not_known_any_more(nexus: LiveNexus) -> None:
    assert await gets_in(nexus, "chosen", CHOSEN)
    await nexus.admin.post("/observer/agents/chosen/rotate-secret", overlapSeconds=0)
    assert not await gets_in(nexus, "chosen", CHOSEN)


async def test_addresses_that_strangers_name_are_not_believed(tmp_path: Path) -> None:
    """Without a trusted proxy, X-Forwarded-For is one more thing that a stranger says."""
    async with live_nexus(tmp_path / "data", trusted_proxies="192.0.2.1") as nexus:
        answers: Counter[int] = Counter()
        for number in range(20):
            answers += await guess(nexus, "x", [make_secret()], address=f"10.4.0.{number}")
        assert answers[429] == 10


async def test_an_agent_is_told_to_wait_and_gets_in_a_moment_later(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data", guesses_per_minute=20) as nexus:
        await nexus.admin.post(
            "/observer/agents", name="Chosen", clientId="chosen", clientSecret=CHOSEN
        )
        await guess(nexus, "chosen", [_word()] * 22)

        async def connects() -> bool:
            client = OblivionClient(nexus_url=nexus.url, client_id="chosen", client_secret=CHOSEN)
            try:
                await client.connect()
            except ConnectRefused as refusal:
                return not refusal.retryable  # then the next line fails
            await client.disconnect()
            return True

        await eventually(connects, what="the agent gets in")
        assert await gets_in(nexus, "chosen", CHOSEN)


async def test_requests_to_register_that_go_wrong_are_slowed_down(
    nexus: LiveNexus, time: FakeTime
) -> None:
    wish: dict[str, Any] = {"registrationToken": "reg_wrong", "name": "N", "clientId": "newcomer"}
    answers: Counter[int] = Counter()
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        for number in range(70):
            path = "/agents/register" if number % 2 else "/auth/register"
            answers[(await http.post(path, json=wish)).status_code] += 1
        assert answers[429] == 10
        refused = await http.post("/auth/register", json=wish)
        assert refused.json()["code"] == "rate_limited"
        time.advance(seconds=int(refused.headers["Retry-After"]))
        assert (await http.post("/auth/register", json=wish)).status_code != 429


async def test_requests_to_register_that_go_well_are_not_counted(nexus: LiveNexus) -> None:
    token = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        for number in range(70):
            wish = {"registrationToken": token["token"], "name": "N", "clientId": f"new-{number}"}
            assert (await http.post("/auth/register", json=wish)).status_code == 201


def test_a_secret_is_known_again_as_long_as_it_is_the_clients_own() -> None:
    guard = Guard(GuessLimits())
    guard.remember("a", "secret", "hash of it")
    assert guard.knows("a", "secret", "hash of it")
    assert not guard.knows("a", "secret", "hash of another one")
    assert not guard.knows("a", "other", "hash of it")
    assert not guard.knows("b", "secret", "hash of it")
    assert not guard.knows("a", "secret", None)


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_addresses_of_one_site_count_as_one(host: str | None, site: str) -> None:
    assert site_of(host) == site
