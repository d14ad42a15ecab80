"""A POST with an ``Idempotency-Key`` has one effect, however often it comes."""

import asyncio
import uuid
from typing import Any

import httpx2
import pytest

from live_nexus import Admin, LiveNexus
from nexus.services.idempotency import Answer, KeyedRequest, KeyReused, StillRunning, once
from nexus.store.schema import idempotency_keys
from service_world import ServiceWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def post(caller: Admin, path: str, key: str, **body: Any) -> httpx2.Response:
    return await caller.http.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


async def test_the_first_answer_comes_again_with_its_status_and_location(
    nexus: LiveNexus, key: str
) -> None:
    first = await post(nexus.admin, "/observer/tasks", key, projectId="team", title=key)
    again = await post(nexus.admin, "/observer/tasks", key, projectId="team", title=key)

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"] == f"/tasks/{first.json()['id']}"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    tasks = await nexus.admin.get("/observer/tasks")
    assert [task["title"] for task in tasks["items"]].count(key) == 1


async def test_requests_that_race_with_one_key_have_one_effect(nexus: LiveNexus, key: str) -> None:
    answers = await asyncio.gather(
        *(post(nexus.admin, "/observer/tasks", key, projectId="team", title=key) for _ in range(10))
    )

    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_another_body_or_path_with_the_same_key_is_refused(
    nexus: LiveNexus, key: str
) -> None:
    await post(nexus.admin, "/observer/tasks", key, projectId="team", title="one")

    other_body = await post(nexus.admin, "/observer/tasks", key, projectId="team", title="two")
    other_path = await post(nexus.admin, "/projects", key, projectId="team", title="one")

    assert (other_body.status_code, other_path.status_code) == (422, 422)
    assert other_body.json()["code"] == "idempotency_key_reused"


async def test_keys_of_different_callers_are_different_keys(
    nexus: LiveNexus, agent: Admin, key: str
) -> None:
    task = await nexus.admin.task()
    path = f"/tasks/{task['id']}/slack-reply"

    mine = await post(nexus.admin, path, key, message="hello")
    its = await post(agent, path, key, message="hello")

    assert mine.json()["messageTs"] != its.json()["messageTs"]


async def test_a_refusal_is_not_kept_so_the_request_may_succeed_later(
    nexus: LiveNexus, key: str
) -> None:
    slug = f"g-{key}"
    early = await post(nexus.admin, "/projects", key, groupId=slug, name="P", slug="p")
    await nexus.admin.post("/groups", name="G", slug=slug)

    late = await post(nexus.admin, "/projects", key, groupId=slug, name="P", slug="p")

    assert (early.status_code, late.status_code) == (404, 201)


async def test_a_made_secret_is_shown_once_and_not_kept(nexus: LiveNexus, key: str) -> None:
    first = await post(nexus.admin, "/observer/agents", key, name="A", clientId=f"a-{key}")
    again = await post(nexus.admin, "/observer/agents", key, name="A", clientId=f"a-{key}")

    secret = first.json()["clientSecret"]
    assert again.status_code == 201
    assert again.json()["id"] == first.json()["id"]
    assert "clientSecret" not in again.json()
    platform = nexus.serving.nexus.platform
    kept = await platform.store.read(lambda tx: str(tx.rows(idempotency_keys.select())))
    assert secret not in kept
    login = {"client_id": f"a-{key}", "client_secret": secret}
    assert (await nexus.admin.http.post("/auth/token", json=login)).status_code == 200


@pytest.mark.parametrize("wrong", ["", "x" * 256, "a\tb", "ü"])
async def test_a_key_that_is_none_is_refused(nexus: LiveNexus, wrong: str) -> None:
    answer = await nexus.admin.http.post(
        "/observer/tasks",
        json={"projectId": "team", "title": "x"},
        headers={b"Idempotency-Key": wrong.encode()},
    )

    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_a_request_whose_first_one_still_runs_is_told_to_wait(world: ServiceWorld) -> None:
    request = KeyedRequest(client_id="admin", key="k", fingerprint="f")
    running = {"client_id": "admin", "key": "k", "fingerprint": "f", "created_at": 0}
    world.run(lambda tx: tx.insert(idempotency_keys, running))

    with pytest.raises(StillRunning):
        world.run(once, request, lambda: Answer(status=200, body={}))
    other = KeyedRequest(client_id="admin", key="k", fingerprint="other")
    with pytest.raises(KeyReused):
        world.run(once, other, lambda: Answer(status=200, body={}))
