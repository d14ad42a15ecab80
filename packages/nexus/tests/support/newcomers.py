"""Where tests get agents that ask to join, and the tokens that let them."""

import itertools
from typing import Any

import httpx2

from live_nexus import LiveNexus

TOKENS = "/observer/registration-tokens"
AGENTS = "/observer/agents"
_numbers = itertools.count(1)


async def invite(nexus: LiveNexus, **terms: Any) -> Any:
    """Make a registration token for the group ``team``."""
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


async def token_answer(anyone: httpx2.AsyncClient, agent: dict[str, Any]) -> httpx2.Response:
    """Ask for an access token with what an agent was answered."""
    ids = {"client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
    return await anyone.post("/auth/token", json=ids)


async def status(anyone: httpx2.AsyncClient, client_id: str, secret: str) -> httpx2.Response:
    """Ask how a registration stands."""
    return await anyone.get("/auth/registration-status", auth=(client_id, secret))
