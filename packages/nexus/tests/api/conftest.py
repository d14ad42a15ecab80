"""Fixtures of the API's tests: a real Nexus for each file, and callers of every role."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest
import pytest_asyncio

from fake_time import FakeTime
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus, live_nexus
from nexus.domain.principal import Role
from nexus.services.secrets import hash_secret
from nexus.store import Tx
from nexus.store.schema import clients, tenants

NewAgent = Callable[[], Awaitable[Admin]]


@pytest.fixture
def time() -> FakeTime:
    """The clock of a Nexus that a test has for itself; it moves when the test wants it to."""
    return FakeTime()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nexus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveNexus]:
    """A Nexus with the group and project ``team``, shared by the tests of one file."""
    async with live_nexus(tmp_path_factory.mktemp("nexus") / "data") as nexus:
        await nexus.admin.team()
        yield nexus


@pytest_asyncio.fixture(loop_scope="module")
async def new_agent(nexus: LiveNexus) -> AsyncIterator[NewAgent]:
    """Makes agents of ``team`` that are logged in; each has its own ``X-Agent-Id`` header."""
    opened: list[Admin] = []

    async def make() -> Admin:
        client_id = f"agent-{uuid.uuid4().hex[:8]}"
        agent = await nexus.admin.agent(client_id)
        caller = Admin(nexus.url, client_id=client_id, secret=AGENT_SECRET)
        caller.http.headers["X-Agent-Id"] = agent["id"]
        opened.append(await caller.__aenter__())
        return caller

    yield make
    for caller in opened:
        await caller.__aexit__()


@pytest_asyncio.fixture(loop_scope="module")
async def agent(new_agent: NewAgent) -> Admin:
    """An agent of ``team``."""
    return await new_agent()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer(nexus: LiveNexus) -> AsyncIterator[Admin]:
    """A person who may look at everything in the tenant, and change nothing."""
    platform = nexus.serving.nexus.platform
    hashed = hash_secret(ADMIN_SECRET, platform.pepper)

    def put(tx: Tx) -> None:
        tenant_id = tx.scalar(tenants.select())
        _put_client(tx, "viewer", tenant_id, Role.VIEWER, hashed)

    await platform.store.write(put)
    async with Admin(nexus.url, client_id="viewer") as viewer:
        yield viewer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(nexus: LiveNexus) -> AsyncIterator[Admin]:
    """The admin of another tenant."""
    platform = nexus.serving.nexus.platform
    hashed = hash_secret(ADMIN_SECRET, platform.pepper)

    def put(tx: Tx) -> None:
        tenant = {"id": "other", "slug": "other", "name": "Other", "created_at": tx.now}
        tx.insert(tenants, tenant)
        _put_client(tx, "stranger", "other", Role.ADMIN, hashed)

    await platform.store.write(put)
    async with Admin(nexus.url, client_id="stranger") as stranger:
        yield stranger


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anyone(nexus: LiveNexus) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who has no credentials."""
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        yield http


def _put_client(tx: Tx, client_id: str, tenant_id: str, role: Role, hashed: str) -> None:
    client = {"client_id": client_id, "tenant_id": tenant_id, "role": role}
    tx.insert(clients, {**client, "secret_hash": hashed, "created_at": tx.now})
