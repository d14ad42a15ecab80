"""Machines ask how Nexus is, and it answers whatever happened to it."""

import asyncio
import dataclasses
import re
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import structlog

from live_nexus import LiveNexus, live_nexus
from nexus.api import create_api
from nexus.api.hashing import AT_ONCE, LONGEST_QUEUE, Hashers
from nexus.domain.errors import Unavailable
from nexus.services.platform import Platform
from nexus.store.recent import RecentEvents
from nexus.store.refusals import Refusals

pytestmark = pytest.mark.asyncio(loop_scope="module")


class FailingStore:
    """A store in which everything fails."""

    def __init__(self, failure: Exception) -> None:
        self.recent = RecentEvents()
        self.refusals = Refusals()
        self._failure = failure

    async def write(self, *_: Any, **__: Any) -> Any:
        raise self._failure

    async def read(self, *_: Any, **__: Any) -> Any:
        raise self._failure

    async def glance(self, *_: Any, **__: Any) -> Any:
        raise self._failure

    def follow(self, *_: Any) -> None:
        raise self._failure

    async def close(self) -> None:
        raise self._failure


def failing(nexus: LiveNexus, failure: Exception) -> httpx2.AsyncClient:
    """Return a client of the same API over a store that fails."""
    platform = nexus.serving.nexus.platform
    broken: Platform = dataclasses.replace(platform, store=FailingStore(failure))
    headers = {"Authorization": nexus.admin.http.headers["Authorization"]}
    transport = httpx2.ASGITransport(create_api(broken))
    return httpx2.AsyncClient(transport=transport, base_url="http://nexus", headers=headers)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_are_answered_to_get_and_head(nexus: LiveNexus, path: str) -> None:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        assert (await http.get(path)).status_code == 200
        assert (await http.head(path)).status_code == 200


async def test_a_store_that_does_not_answer_is_alive_but_not_ready(nexus: LiveNexus) -> None:
    async with failing(nexus, Unavailable("the disk is full", retry_after=7)) as http:
        alive = await http.get("/livez")
        ready = await http.get("/readyz")
        command = await http.post("/groups", json={"name": "G", "slug": "g"})
        token = await http.post("/auth/token", json={"client_id": "a", "client_secret": "b"})

    assert alive.status_code == 200
    for answer in (ready, command):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "7"
    assert (token.status_code, token.json()["error"]) == (503, "temporarily_unavailable")
    assert token.headers["Retry-After"] == "7"


async def test_a_schema_of_another_version_is_not_ready(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data", database_url="") as nexus:
        database = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'nexus.db'}")
        with database.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = 'other'"))
        database.dispose()

        answer = await nexus.admin.http.get("/readyz")

    assert answer.status_code == 503
    assert "nexus migrate" in answer.json()["detail"]


async def test_an_unexpected_failure_is_logged_and_shows_no_trace(
    nexus: LiveNexus,
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with failing(nexus, RuntimeError("secret detail")) as http:
            answer = await http.get("/groups")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "secret detail" not in answer.text
    assert [(log["event"], log["path"]) for log in logs] == [("request_failed", "/groups")]


async def test_requests_are_counted_by_route_and_never_by_path(nexus: LiveNexus) -> None:
    await nexus.admin.http.get("/tasks/made-up-1")
    await nexus.admin.http.get("/made-up-2")

    text = (await nexus.admin.http.get("/metrics")).text

    assert re.search(
        r'nexus_http_requests_total\{method="GET",route="/tasks/\{task_id\}",status="404"\} \d',
        text,
    )
    assert 'route="unmatched",status="404"' in text
    assert "made-up" not in text


async def test_numbers_are_there_while_the_store_is_away(nexus: LiveNexus) -> None:
    async with failing(nexus, Unavailable("away")) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "nexus_http_requests_total" in answer.text


async def test_the_description_is_openapi_3_1_with_the_contracts_operations(
    nexus: LiveNexus,
) -> None:
    described = await nexus.admin.get("/api-json")

    assert described["openapi"].startswith("3.1")
    create = described["paths"]["/observer/tasks"]["post"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in create["parameters"]]
    for status in ("401", "403", "404", "409", "413", "415", "422", "500", "503"):
        assert list(create["responses"][status]["content"]) == ["application/problem+json"]
    assert "projectId" in described["components"]["schemas"]["CreateTask"]["properties"]
    assert "HTTPValidationError" not in described["components"]["schemas"]
    token = described["paths"]["/auth/token"]["post"]
    assert "application/x-www-form-urlencoded" in token["requestBody"]["content"]
    assert "Idempotency-Key" not in str(token)


async def test_the_page_of_the_api_works_without_other_servers(nexus: LiveNexus) -> None:
    page = (await nexus.admin.http.get("/api")).text

    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert "http://" not in page
    assert "https://" not in page
    assert '"validatorUrl": null' in page
    for asset in assets:
        if not asset.startswith("data:"):
            assert (await nexus.admin.http.get(asset)).status_code == 200, asset


async def test_answers_forbid_guessing_types_and_storing_what_needed_credentials(
    nexus: LiveNexus,
) -> None:
    answer = await nexus.admin.http.get("/groups")
    refused = await nexus.admin.http.get("/nope")

    for found in (answer, refused):
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["Cache-Control"] == "no-store"


async def test_a_queue_of_secrets_that_is_full_is_said_to_be() -> None:
    hashers = Hashers()
    go_on = threading.Event()
    waiting = [asyncio.create_task(hashers.run(go_on.wait)) for _ in range(AT_ONCE + LONGEST_QUEUE)]
    await asyncio.wait(waiting, timeout=0)

    try:
        with pytest.raises(Unavailable):
            await hashers.run(go_on.wait)
    finally:
        go_on.set()
    assert all(await asyncio.gather(*waiting))
