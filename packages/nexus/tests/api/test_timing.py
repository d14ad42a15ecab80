"""How long a refusal takes does not tell whether a client exists, or which kind of secret it has.

Compared are the computing times of the server's process, which other work on the machine does not
stretch; and always pairs, one taken right after the other, in turns, so that what drifts hits both.
The bounds are so wide that chance crosses them less than once in a hundred thousand runs, and a
missing or second hash is still far outside.
"""

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import pytest

from live_nexus import LiveNexus, live_nexus
from nexus.services.secrets import make_secret

SEED = 20261125
KINDS = ("made", "chosen", "rotated", "banned")
"""Whose secret Nexus made, whose a person chose, who has one of either for a while, who is out."""


@pytest.fixture(scope="module")
def rng() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    many: dict[str, Any] = {
        f"guesses_per_{what}": 10_000 for what in ("minute", "address", "client")
    }
    async with live_nexus(tmp_path / "data", **many) as nexus:
        for kind in KINDS:
            chosen = {} if kind == "made" else {"clientSecret": "correct horse battery"}
            await nexus.admin.post("/observer/agents", name=kind, clientId=kind, **chosen)
        await nexus.admin.post("/observer/agents/rotated/rotate-secret")
        await nexus.admin.post("/observer/agents/banned/ban")
        yield nexus


async def ratios(
    nexus: LiveNexus, known: str, secret: str, *, pairs: int, rng: random.Random
) -> list[float]:
    """Return how much longer a known client's refusal took than an unknown one's, for each pair."""
    found = []
    async with httpx2.AsyncClient(base_url=nexus.url, timeout=30) as http:

        async def cost(client_id: str) -> float:
            wish = {"client_id": client_id, "client_secret": secret}
            began = time.process_time()
            answer = await http.post("/auth/token", json=wish)
            cost = time.process_time() - began
            assert answer.status_code == 401
            return cost

        await cost(known)
        await cost("nobody")
        for _ in range(pairs):
            names = [known, "n" * len(known)]
            rng.shuffle(names)
            costs = {name: await cost(name) for name in names}
            found.append(costs[known] / costs["n" * len(known)])
    return found


@pytest.mark.parametrize("kind", ["made", "chosen", "rotated"])
async def test_a_guess_that_a_person_might_choose_takes_one_slow_hash_whoever_is_meant(
    nexus: LiveNexus, kind: str, rng: random.Random
) -> None:
    found = await ratios(nexus, kind, "wrong horse battery", pairs=8, rng=rng)

    assert 0.8 < median(found) < 1.25


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guess_in_the_form_of_a_made_secret_takes_none_whoever_is_meant(
    nexus: LiveNexus, kind: str, rng: random.Random
) -> None:
    found = await ratios(nexus, kind, make_secret(), pairs=150, rng=rng)

    assert 0.9 < median(found) < 1.1


async def test_the_answers_are_the_same_to_the_last_byte(nexus: LiveNexus) -> None:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answers = [
            await http.post("/auth/token", json={"client_id": client_id, "client_secret": secret})
            for client_id in (*KINDS, "nobody")
            for secret in ("wrong horse battery", make_secret())
        ]
    assert len({answer.content for answer in answers}) == 1
    headers = [{**answer.headers, "date": ""} for answer in answers]
    assert all(found == headers[0] for found in headers)
