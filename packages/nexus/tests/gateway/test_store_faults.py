"""A database that is locked or has no room for a while: commands are refused, all goes on after."""

import contextlib
import resource
import sqlite3
from pathlib import Path

from free_port import free_port
from live_nexus import AGENT_SECRET, Admin, live_nexus, nexus_process
from nexus.store.unit_of_work import SqliteUnitOfWork
from socket_agent import socket_agent, token_for


async def test_a_locked_database_is_told_to_callers_and_outlived(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data", database_url="") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("a")
        store = nexus.serving.nexus.platform.store
        assert isinstance(store, SqliteUnitOfWork)
        store.lock_patience_ms = 50
        token = await token_for(nexus.url, "a", AGENT_SECRET)
        async with socket_agent(nexus.url, token) as agent:
            await agent.ready()
            file = tmp_path / "data" / "nexus.db"
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = await nexus.admin.http.post(
                    "/observer/tasks", json={"projectId": "team", "title": "T"}
                )
                assert refused.status_code == 503
                assert int(refused.headers["Retry-After"]) > 0
                assert (await nexus.admin.get("/observer/tasks"))["items"] == []
                assert await nexus.admin.get("/readyz") == {
                    "status": "ready",
                    "refused": "database is locked",
                }
                answer = await agent.call("heartbeat", {"ping": True})
                assert (answer["error"]["code"], answer["error"]["retryable"]) == (
                    "unavailable",
                    True,
                )
                other.execute("ROLLBACK")
            task = await nexus.admin.task()
            assert (await agent.until("task_assigned"))["taskId"] == task["id"]


async def test_a_disk_without_room_is_told_to_callers_and_outlived(tmp_path: Path) -> None:
    async with (
        nexus_process(tmp_path / "data", free_port()) as process,
        Admin(process.url) as admin,
    ):
        await admin.team()
        kept = [(await admin.task("before"))["id"]]
        room = (tmp_path / "data" / "nexus.db-wal").stat().st_size + 64 * 1024
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

        refused = None
        while refused is None:
            body = {"projectId": "team", "title": "more", "description": "x" * 20_000}
            answer = await admin.http.post("/observer/tasks", json=body)
            if answer.status_code == 201:
                kept.append(answer.json()["id"])
            else:
                refused = answer
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        found = (await admin.get("/observer/tasks", limit=200))["items"]
        assert {task["id"] for task in found} == set(kept)

        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        kept.append((await admin.task("after"))["id"])

        await process.kill()
        await process.start()
        found = (await admin.get("/observer/tasks", limit=200))["items"]
        assert {task["id"] for task in found} == set(kept)
