"""What only the embedded database does: it can be locked by another process, and fill its disk."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fake_time import FakeTime
from nexus.domain.errors import Unavailable
from nexus.services import leases
from nexus.store import SqliteDatabase, Tx, group_commit
from nexus.store.schema import is_waiting, meta, tasks
from nexus.store.unit_of_work import SqliteUnitOfWork


def put(tx: Tx, key: str) -> str:
    tx.insert(meta, {"key": key, "value": key})
    return key


async def test_an_answer_means_synced_to_disk_and_not_merely_written(tmp_path: Path) -> None:
    """With less than FULL, SQLite leaves a commit in the machine's memory in WAL mode."""
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    said = [
        await store.write(lambda tx, name=name: tx.scalar(sa.text(f"PRAGMA {name}")))  # type: ignore[misc]  # a setting is no table
        for name in ("synchronous", "journal_mode")
    ]
    assert said == [2, "wal"]
    await store.close()
    database.close()


async def test_more_commands_than_may_wait_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 2)
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    wishes = [store.write(put, key) for key in ("first", "second", "one too many")]
    *kept, refused = await asyncio.gather(*wishes, return_exceptions=True)
    assert kept == ["first", "second"]
    assert isinstance(refused, Unavailable)
    assert "wait for the database already" in refused.message
    assert await store.write(put, "later") == "later"
    await store.close()
    database.close()


async def test_a_locked_database_refuses_the_write_and_recovers_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    database = SqliteDatabase(path)
    database.migrate()
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    store.lock_patience_ms = 50
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = store.refusals.recent
        with pytest.raises(Unavailable, match="locked"):
            await store.write(put, "refused")
        assert (before, store.refusals.recent) == (None, "database is locked")
        assert await store.read(lambda tx: tx.rows(meta.select())) == []
        other.execute("ROLLBACK")
        await store.write(put, "later")
        assert other.execute("select value from meta").fetchall() == [("later",)]
    await store.close()
    database.close()


async def test_no_command_waits_for_a_lock_until_those_before_it_gave_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 1)
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    database.writer.dispose()
    said: list[str] = []
    sa.event.listen(
        database.writer, "connect", lambda driver, _: driver.set_trace_callback(said.append)
    )
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    store.lock_patience_ms = 50
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wishes = [store.write(put, str(number)) for number in range(4)]
        outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
    waited = [int(text.split("=")[1]) for text in said if text.startswith("PRAGMA busy_timeout=")]
    assert 0 < sum(waited) <= store.lock_patience_ms
    await store.close()
    database.close()


async def test_a_full_disk_refuses_writes_lets_reads_go_on_and_recovers_by_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nexus.db"
    database = SqliteDatabase(path)
    database.migrate()
    database.writer.dispose()
    drivers: list[Any] = []
    sa.event.listen(database.writer, "connect", lambda driver, _: drivers.append(driver))
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    await store.write(put, "before")
    pages = drivers[0].execute("PRAGMA page_count").fetchone()[0]
    drivers[0].execute(f"PRAGMA max_page_count={pages + 4}")

    wishes = [store.write(put, f"{number}-{'x' * 4000}") for number in range(20)]
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    answered = {outcome for outcome in outcomes if isinstance(outcome, str)}
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(answered) + len(refused) == 20
    assert refused
    assert all("full" in refusal.message and refusal.retry_after > 0 for refusal in refused)

    def kept(tx: Tx) -> set[str]:
        return {row["key"] for row in tx.rows(meta.select())}

    assert await store.read(kept) == {"before", *answered}
    drivers[0].execute("PRAGMA max_page_count=1000000")
    await store.write(put, "after")
    assert await store.read(kept) == {"before", "after", *answered}
    await store.close()
    database.close()


def test_how_many_tasks_an_agent_holds_is_told_by_an_index_alone(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    held = sa.select(sa.func.count()).where(leases.held_by("an agent"))
    sql = str(held.compile(dialect=database.writer.dialect, compile_kwargs={"literal_binds": True}))
    with database.reader.begin() as connection:
        (step,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
    assert "COVERING INDEX tasks_held" in step.detail
    database.close()


def test_what_waits_is_found_by_an_index_of_what_waits(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    waits = tasks.select().where(tasks.c.project_id == "a project", is_waiting)
    sql = str(
        waits.compile(dialect=database.writer.dialect, compile_kwargs={"literal_binds": True})
    )
    with database.reader.begin() as connection:
        (step,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
    assert "INDEX tasks_waiting" in step.detail
    database.close()


def test_to_judge_whether_a_task_is_held_sqlite_makes_no_table(tmp_path: Path) -> None:
    """It did at each row stored, for a list of three in the condition of an index."""
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    moved = tasks.update().where(tasks.c.id == sa.bindparam("which")).values(status="DONE")
    with database.writer.begin() as connection:
        for statement in (tasks.insert(), moved):
            sql = str(statement.compile(dialect=connection.dialect))
            program = connection.exec_driver_sql(f"EXPLAIN {sql}", ("",) * sql.count("?")).all()
            assert "IdxInsert" in {step.opcode for step in program}
            assert "OpenEphemeral" not in {step.opcode for step in program}
    database.close()
