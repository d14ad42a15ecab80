"""Where tests get a person's session without a browser: a cookie, and where forms are from."""

import contextlib
import re
from collections.abc import AsyncIterator

import httpx2

from live_nexus import LiveNexus
from nexus.observer.entrance import COOKIE, LIFETIME_S
from nexus.services import identity


async def session_of(nexus: LiveNexus, client_id: str) -> str:
    """Return a session's token, as a sign-in makes it."""
    platform = nexus.serving.nexus.platform
    client = await platform.store.read(identity.client, client_id)
    assert client is not None
    caller = identity.admitted(client)
    return platform.tokens.issue_session(caller, platform.clock(), LIFETIME_S)


@contextlib.asynccontextmanager
async def visitor(nexus: LiveNexus, client_id: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Send requests with this person's session."""
    headers = {
        "Cookie": f"{COOKIE}={await session_of(nexus, client_id)}",
        "Sec-Fetch-Site": "same-origin",
    }
    async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as http:
        yield http


def problem_of(answer: httpx2.Response) -> str:
    """Return what a page says is wrong."""
    found = re.search(r'class="problem" role="alert">(.*?)</p>', answer.text, re.DOTALL)
    assert found is not None, answer.text
    return found[1]
