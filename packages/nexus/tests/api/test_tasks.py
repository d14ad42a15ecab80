"""Agents see, claim, move and discuss tasks over HTTP; people make and steer them."""

import uuid
from collections.abc import Awaitable, Callable

import pytest

from live_nexus import Admin, LiveNexus
from nexus.store import Tx
from nexus.store.schema import tasks

pytestmark = pytest.mark.asyncio(loop_scope="module")

NewAgent = Callable[[], Awaitable[Admin]]


async def test_a_task_is_made_with_its_address_and_read_back(nexus: LiveNexus) -> None:
    answer = await nexus.admin.http.post(
        "/observer/tasks",
        json={
            "projectId": "team",
            "title": "  Fix the bug  ",
            "priority": 1,
            "requiredCapabilities": ["python"],
            "metadata": {"file": "a.py"},
        },
    )

    task = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/tasks/{task['id']}"
    assert task["title"] == "Fix the bug"
    assert (task["status"], task["priority"], task["attempt"]) == ("TODO", 1, 0)
    assert task["createdAt"].endswith("Z")
    assert "claimedByAgentId" not in task
    assert await nexus.admin.get(f"/tasks/{task['id']}") == task
    assert await nexus.admin.get(f"/tasks/by-id/{task['id']}") == task


async def test_an_agent_lists_claims_and_completes_a_task(nexus: LiveNexus, agent: Admin) -> None:
    task = await nexus.admin.task("Claim me", priority=1)

    available = await agent.get("/tasks/available")
    claim = await agent.post(f"/tasks/{task['id']}/claim")
    claimed = await agent.get("/tasks/claimed")
    await agent.patch(f"/tasks/{task['id']}/status", status="IN_PROGRESS")
    done = await agent.patch(f"/tasks/{task['id']}/status", status="DONE", result={"lines": None})

    assert task["id"] in [summary["taskId"] for summary in available]
    assert claim["taskId"] == task["id"]
    assert claim["success"] is True
    assert claim["claimedAt"].endswith("Z")
    assert [summary["taskId"] for summary in claimed] == [task["id"]]
    assert set(claimed[0]) == {
        *("taskId", "title", "description", "priority", "createdAt"),
        *("projectId", "projectName", "groupId", "groupName"),
    }
    assert (done["status"], done["result"]) == ("DONE", {"lines": None})
    assert await agent.get("/tasks/claimed") == []


async def test_only_the_first_claim_wins(nexus: LiveNexus, new_agent: NewAgent) -> None:
    first, second = await new_agent(), await new_agent()
    path = f"/tasks/{(await nexus.admin.task())['id']}"
    await first.post(f"{path}/claim")

    late = await second.http.post(f"{path}/claim")
    again = await first.post(f"{path}/claim")
    move = await second.http.patch(f"{path}/status", json={"status": "DONE"})

    assert (late.status_code, late.json()["code"]) == (409, "already_claimed")
    assert again["success"] is True
    assert (move.status_code, move.json()["code"]) == (409, "lease_lost")


async def test_an_agent_sees_nothing_of_groups_that_it_is_not_in(
    nexus: LiveNexus, agent: Admin
) -> None:
    slug = f"other-{uuid.uuid4().hex[:8]}"
    await nexus.admin.team(slug)
    task = await nexus.admin.task(project=slug)
    path = f"/tasks/{task['id']}"

    answers = [
        await agent.http.get(path),
        await agent.http.get(f"{path}/slack-thread"),
        await agent.http.post(f"{path}/claim"),
        await agent.http.post(f"{path}/slack-reply", json={"message": "hello"}),
        await agent.http.patch(f"{path}/status", json={"status": "DONE"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    available = await agent.get("/tasks/available")
    assert task["id"] not in [summary["taskId"] for summary in available]


async def test_a_task_is_found_by_its_sources_id_but_not_where_only_its_own_counts(
    nexus: LiveNexus,
) -> None:
    task = await nexus.admin.task()
    values = {"source": "clickup", "source_id": "86c{1}"}

    def change(tx: Tx) -> None:
        tx.change(tasks.update().where(tasks.c.id == task["id"]).values(values))

    await nexus.serving.nexus.platform.store.write(change)

    found = await nexus.admin.get("/tasks/86c{1}")
    strict = await nexus.admin.http.get("/tasks/by-id/86c{1}")
    said = await nexus.admin.say("86c{1}", "hello")

    assert (found["id"], found["clickupTaskId"]) == (task["id"], "86c{1}")
    assert strict.status_code == 404
    assert said["ok"] is True


async def test_the_thread_keeps_what_people_and_agents_say_in_pages(
    nexus: LiveNexus, agent: Admin
) -> None:
    task = await nexus.admin.task()
    path = f"/tasks/{task['id']}"
    said = await nexus.admin.say(task["id"], "Look at line 3", author="Ann")
    replied = await agent.post(f"{path}/slack-reply", message="Done", broadcast=True)
    await nexus.admin.post(f"{path}/slack-reply", message="Thanks")

    first = await agent.get(f"{path}/slack-thread", limit=2)
    rest = await agent.get(f"{path}/slack-thread", limit=2, cursor=first["nextCursor"])

    assert (first["ok"], first["taskId"], first["hasMore"]) == (True, task["id"], True)
    messages = first["messages"] + rest["messages"]
    assert [message["text"] for message in messages] == ["Look at line 3", "Done", "Thanks"]
    assert [message["isHuman"] for message in messages] == [True, False, True]
    assert [message["username"] for message in messages][::2] == ["Ann", "admin"]
    assert [message["ts"] for message in messages[:2]] == [said["messageTs"], replied["messageTs"]]
    assert rest["hasMore"] is False
    assert "nextCursor" not in rest


async def test_a_person_edits_cancels_and_retries_a_task(nexus: LiveNexus) -> None:
    path = f"/observer/tasks/{(await nexus.admin.task())['id']}"

    edited = await nexus.admin.patch(path, title="Better", timeoutSeconds=60)
    cancelled = await nexus.admin.http.post(f"{path}/cancel")
    too_late = await nexus.admin.http.patch(path, json={"title": "Later"})
    retried = await nexus.admin.http.post(f"{path}/retry")
    ended = await nexus.admin.post(f"{path}/cancel", reason="not needed")

    assert edited["title"] == "Better"
    assert cancelled.json()["status"] == "CANCELLED"
    assert (too_late.status_code, too_late.json()["code"]) == (409, "conflict")
    assert retried.json()["status"] == "TODO"
    assert (ended["status"], ended["error"]) == ("CANCELLED", "not needed")


async def test_tasks_are_listed_in_pages_newest_first_with_the_tenants_counts(
    nexus: LiveNexus,
) -> None:
    slug = f"list-{uuid.uuid4().hex[:8]}"
    await nexus.admin.team(slug)
    made = [(await nexus.admin.task(str(n), project=slug))["id"] for n in range(5)]
    await nexus.admin.post(f"/observer/tasks/{made[0]}/cancel")

    first = await nexus.admin.get("/observer/tasks", projectId=slug, limit=3)
    rest = await nexus.admin.get(
        "/observer/tasks", projectId=slug, limit=3, cursor=first["nextCursor"]
    )
    waiting = await nexus.admin.get("/observer/tasks", projectId=slug, status="TODO")
    stats = await nexus.admin.get(f"/projects/{slug}/stats")

    listed = [task["id"] for task in first["items"] + rest["items"]]
    assert listed == made[::-1]
    assert "nextCursor" not in rest
    assert [task["id"] for task in waiting["items"]] == made[:0:-1]
    assert set(first["counts"]) == {
        *("todo", "claimed", "inProgress", "blocked", "done", "failed", "cancelled")
    }
    assert (stats["tasks"]["todo"], stats["tasks"]["cancelled"]) == (4, 1)


async def test_tasks_are_found_by_who_holds_them(nexus: LiveNexus, agent: Admin) -> None:
    task = await nexus.admin.task()
    await agent.post(f"/tasks/{task['id']}/claim")

    held = await nexus.admin.get("/observer/tasks", agentId=agent.http.headers["X-Agent-Id"])

    assert [found["id"] for found in held["items"]] == [task["id"]]
