"""Where a Nexus is broken on purpose: one mechanism taken out of a running process.

The checker must see each of these; whoever changes the mechanism changes its fault along.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import unsynced_sqlite
from nexus.api import door
from nexus.delivery.session import LiveSession
from nexus.services import attempts, calls, events, idempotency, views
from nexus.store.group_commit import GroupCommit
from nexus.store.schema import agents, tasks
from nexus.store.tx import Row, Tx
from nexus.store.unit_of_work import SqliteUnitOfWork

SLOW_COMMIT_S = 0.1


def drop_the_fence(_folder: Path) -> None:
    """Let whoever speaks of a task change it, whatever the attempt."""

    def require_lease(tx: Tx, agent_id: str, task_id: str, attempt: int) -> Row:
        return views.task_row(tx, task_id)

    def move(tx: Tx, task: Row, values: dict[str, Any]) -> Row:
        changes = {"updated_at": tx.now, **values}
        tx.update(tasks, changes, id=task["id"])
        return {**task, **changes}

    vars(attempts).update(require_lease=require_lease, move=move, check_holder_move=lambda *_: None)


def answer_before_the_commit(_folder: Path) -> None:
    """Answer once the command has run; its commit follows when the disk has time."""
    write = SqliteUnitOfWork.write
    running: set[asyncio.Task[Any]] = set()

    async def write_behind(
        self: SqliteUnitOfWork, service: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        answer = asyncio.get_running_loop().create_future()

        def act(tx: Tx) -> None:
            try:
                answer.set_result(service(tx, *args, **kwargs))
            except Exception as error:
                answer.set_exception(error)
                raise

        task = asyncio.create_task(_quietly(write(self, act)))
        running.add(task)
        task.add_done_callback(running.discard)
        return await answer

    # A group that begins anew would make other ids than those answered, which is another fault.
    GroupCommit._freely = GroupCommit._in_savepoint  # type: ignore[method-assign]
    SqliteUnitOfWork.write = write_behind  # type: ignore[method-assign]  # broken
    sa.event.listen(sa.engine.Engine, "commit", lambda _connection: time.sleep(SLOW_COMMIT_S))


async def _quietly(write: Any) -> None:
    try:
        await write
    except Exception:  # noqa: BLE001 - its caller has it already
        return


def number_events_by_a_sequence(folder: Path) -> None:
    """Take an event's number from a counter that no rollback turns back, as databases have."""

    def take(tx: Tx, agent_id: str, number: int) -> Iterator[int]:
        last = _count_up(folder / agent_id, number)
        tx.update(agents, {"event_seq": last}, id=agent_id)
        return iter(range(last - number + 1, last + 1))

    vars(events)["_take"] = take


def _count_up(counter: Path, by: int) -> int:
    number = int(counter.read_text()) + by if counter.exists() else by
    fresh = counter.with_suffix(".new")
    fresh.write_text(str(number))
    fresh.replace(counter)
    return number


def forget_keys(_folder: Path) -> None:
    """Carry out a keyed request however often it comes."""

    def once(tx: Tx, request: object, act: Callable[[], idempotency.Answer]) -> idempotency.Answer:
        return act()

    vars(door)["once"] = once


def forget_calls(_folder: Path) -> None:
    """Carry out a call however often it comes."""
    calls.once = lambda tx, agent_id, call_id, act: act(tx)


def send_only_what_is_new(_folder: Path) -> None:
    """Begin each session after the newest event, as if what was sent had arrived."""
    following = LiveSession._next

    async def next_from_the_end(self: LiveSession, room: int) -> Sequence[Row]:
        if self._sent == 0:
            self._sent = await self._platform.store.read(events.head, self.ref.agent_id)
        return await following(self, room)

    LiveSession._next = next_from_the_end  # type: ignore[method-assign]  # broken


def lose_unsynced_writes(_folder: Path) -> None:
    """Nothing is broken: a database as it is, on a disk that keeps what was synced."""
    unsynced_sqlite.install(synchronous="FULL")


def commit_without_sync(_folder: Path) -> None:
    """Answer what is written but not synced, on a disk that keeps what was synced."""
    unsynced_sqlite.install(synchronous="NORMAL")


FAULTS = {
    fault.__name__: fault
    for fault in (
        drop_the_fence,
        answer_before_the_commit,
        number_events_by_a_sequence,
        forget_keys,
        forget_calls,
        send_only_what_is_new,
        lose_unsynced_writes,
        commit_without_sync,
    )
}


def plant(name: str, folder: Path) -> None:
    """Break this process; ``folder`` is there for what a fault has to remember."""
    FAULTS[name](folder)
