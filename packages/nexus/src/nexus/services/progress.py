"""Where it stands in a task's thread how far its agent is: one message, edited in place."""

import sqlalchemy as sa

from nexus.store.ids import new_id
from nexus.store.schema import agents, messages
from nexus.store.tx import Row, Tx
from oblivion.protocol import MessageKind, TaskUpdate


def show(tx: Tx, task: Row, wish: TaskUpdate) -> str | None:
    """Show what the holder of ``task`` reports, and return the message's id; None for nothing new.

    There is one such message per attempt. It is no news: it answers nothing, wakes nobody, and
    integrations show it with the task.
    """
    if wish.progress is None:
        return None
    text = words(wish)
    before = shown(tx, task)
    if before is None:
        return _begin(tx, task, text)
    if before["text"] == text:
        return None
    tx.update(messages, {"text": text, "edited_at": tx.now}, id=before["id"])
    return str(before["id"])


def shown(tx: Tx, task: Row) -> Row | None:
    """Return the message that shows how far the attempt of a task's holder is, if it has one."""
    if task["holder_agent_id"] is None or task["claimed_at"] is None:
        return None
    of_this_attempt = (
        (messages.c.task_id == task["id"])
        & (messages.c.kind == MessageKind.PROGRESS)
        & (messages.c.author_id == task["holder_agent_id"])
        & (messages.c.created_at >= task["claimed_at"])
    )
    return tx.one(messages.select().where(of_this_attempt).order_by(messages.c.ts.desc()).limit(1))


def words(wish: TaskUpdate) -> str:
    """Return how a report is read, such as ``40 %: running tests``."""
    share = f"{wish.progress or 0.0:.0%}".replace("%", " %")
    return f"{share}: {wish.message}" if wish.message else share


def next_ts(tx: Tx, task_id: str) -> int:
    """Return the place of the next message in a task's thread, in epoch microseconds."""
    newest = tx.scalar(sa.select(sa.func.max(messages.c.ts)).where(messages.c.task_id == task_id))
    return max(tx.now * 1000, (newest or 0) + 1)


def _begin(tx: Tx, task: Row, text: str) -> str:
    named = sa.select(agents.c.name).where(agents.c.id == task["holder_agent_id"])
    message: Row = {
        "id": new_id(),
        "task_id": task["id"],
        "ts": next_ts(tx, task["id"]),
        "kind": MessageKind.PROGRESS,
        "author_id": task["holder_agent_id"],
        "author": tx.scalar(named),
        "is_human": False,
        "text": text,
        "choices": None,
        "created_at": tx.now,
    }
    tx.insert(messages, message)
    return str(message["id"])
