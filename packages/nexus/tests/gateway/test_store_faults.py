"""A database that is locked for a while: commands are refused, and all goes on after."""

import contextlib
import sqlite3
from pathlib import Path

from live_nexus import AGENT_SECRET, live_nexus
from nexus.store.unit_of_work import SqliteUnitOfWork
from socket_agent import socket_agent, token_for


async def test_a_locked_database_is_told_to_callers_and_outlived(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
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
                answer = await agent.call("heartbeat", {"ping": True})
                assert (answer["error"]["code"], answer["error"]["retryable"]) == (
                    "unavailable",
                    True,
                )
                other.execute("ROLLBACK")
            task = await nexus.admin.task()
            assert (await agent.until("task_assigned"))["taskId"] == task["id"]
