"""Where the conversation of a task lives: who says what, who hears it, whom it wakes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import sqlalchemy as sa
from pydantic import StrictBool

from nexus.domain.mentions import APP_NAMES, handle_of, mentioned_names
from nexus.domain.principal import Principal
from nexus.services import activity, agents, attempts, events, leases, tasks, views
from nexus.services.command import Command, Line, Words
from nexus.store import schema
from nexus.store.ids import new_id
from nexus.store.schema import group_members, messages
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    HELD_STATUSES,
    ContextUpdatePayload,
    EventType,
    MessageKind,
    PostMessage,
    PostMessageAck,
    TaskStatus,
    ThreadMessage,
    ThreadPage,
    ThreadReplyAck,
    WakeUpPayload,
    WireModel,
)

_Told = tuple[str, EventType, WireModel]
"""Which agent is told what."""


class Say(Command):
    """A person speaks in a task's thread; ``author`` defaults to the caller."""

    text: Words
    author: Line | None = None


class Reply(Command):
    """A message for a task's thread; ``broadcast`` shows it in its channel too, if it has one."""

    message: Words
    broadcast: StrictBool = False


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who speaks: an agent by its id, a person by the client it came through."""

    id: str
    name: str
    is_human: bool


def format_ts(microseconds: int) -> str:
    """Write a message's place as Slack does: ``1764000000.000123``."""
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def post(
    tx: Tx, task: Row, author: Author, text: str, kind: MessageKind = MessageKind.MESSAGE
) -> str:
    """Add a message to the thread, tell the holder, wake whom it mentions; return its ``ts``.

    A person's message sends a task that was blocked on a human back to IN_PROGRESS.

    Raises:
        Invalid: the text is too long to be sent to an agent.
    """
    ts = _next_ts(tx, task["id"])
    tx.insert(
        messages,
        {
            "id": new_id(),
            "task_id": task["id"],
            "ts": ts,
            "kind": kind,
            "author_id": author.id,
            "author": author.name,
            "is_human": author.is_human,
            "text": text,
            "created_at": tx.now,
        },
    )
    update = _update(task, author, text, format_ts(ts))
    events.refuse_oversize(update)
    _record(tx, task, author, text, kind)
    if author.is_human and task["status"] == TaskStatus.BLOCKED_ON_HUMAN:
        attempts.resume(tx, task)
    told = [*_for_holder(task, author, update), *_for_mentioned(tx, task, author, text)]
    for agent_id, type_, payload in sorted(told, key=itemgetter(0)):  # all lock in one order
        events.tell(tx, agent_id, type_, payload, task_id=task["id"])
    return format_ts(ts)


def post_as_agent(tx: Tx, agent_id: str, wish: PostMessage) -> PostMessageAck:
    """Let an agent speak in the thread of any task of its groups.

    Raises:
        NotFound: no such task in its groups.
    """
    task = leases.visible(tx, agent_id, wish.task_id)
    author = Author(id=agent_id, name=agents.by_id(tx, agent_id)["name"], is_human=False)
    return PostMessageAck(message_ts=post(tx, task, author, wish.text, wish.kind))


def say(tx: Tx, caller: Principal, task_id: str, wish: Say) -> ThreadReplyAck:
    """Let a person speak in the thread of any task of its tenant.

    Raises:
        NotFound: no such task.
    """
    task = tasks.find(tx, caller, task_id, lock=True)
    name = wish.author or caller.client_id
    author = Author(id=caller.client_id, name=name, is_human=True)
    return ThreadReplyAck(message_ts=post(tx, task, author, wish.text))


def reply(tx: Tx, caller: Principal, task_id: str, wish: Reply) -> ThreadReplyAck:
    """Let whoever calls, an agent or a person, speak in the thread.

    Raises:
        NotFound: no such task for the caller.
    """
    if caller.agent_id is None:
        return say(tx, caller, task_id, Say(text=wish.message))
    own_id = tasks.find(tx, caller, task_id)["id"]
    message = PostMessage(task_id=own_id, text=wish.message, broadcast=wish.broadcast)
    return ThreadReplyAck(message_ts=post_as_agent(tx, caller.agent_id, message).message_ts)


def _next_ts(tx: Tx, task_id: str) -> int:
    newest = tx.scalar(sa.select(sa.func.max(messages.c.ts)).where(messages.c.task_id == task_id))
    return max(tx.now * 1000, (newest or 0) + 1)


def _record(tx: Tx, task: Row, author: Author, text: str, kind: MessageKind) -> None:
    activity.record(
        tx,
        task["tenant_id"],
        "message_posted",
        agent_id=None if author.is_human else author.id,
        task=task,
        author=author.name,
        is_human=author.is_human,
        kind=kind,
        text=text,
    )


def _update(task: Row, author: Author, text: str, ts: str) -> ContextUpdatePayload:
    return ContextUpdatePayload(
        task_id=task["id"],
        message_ts=ts,
        author=author.name,
        author_id=author.id,
        content=text,
        is_human=author.is_human,
    )


def _for_holder(task: Row, author: Author, update: ContextUpdatePayload) -> Iterator[_Told]:
    holder = task["holder_agent_id"]
    if task["status"] in HELD_STATUSES and holder != author.id:
        yield holder, EventType.CONTEXT_UPDATE, update


def _for_mentioned(tx: Tx, task: Row, author: Author, text: str) -> Iterator[_Told]:
    names = mentioned_names(text)
    for agent in _members(tx, task["group_id"]) if names else ():
        known_as = {agent["client_id"].lower(), handle_of(agent["name"])}
        by_app = names & APP_NAMES and agent["id"] == task["holder_agent_id"]
        if agent["id"] != author.id and (by_app or names & known_as):
            wake = WakeUpPayload(
                reason="mention", task_id=task["id"], triggered_by=author.name, message=text
            )
            yield agent["id"], EventType.WAKE_UP, wake


def _members(tx: Tx, group_id: str) -> Sequence[Row]:
    return tx.rows(
        sa.select(schema.agents)
        .join_from(schema.agents, group_members)
        .where(group_members.c.group_id == group_id)
    )


def page(tx: Tx, task_id: str, *, limit: int, after: int) -> ThreadPage:
    """Return messages in order; ``after`` is the ``ts`` (microseconds) the last page ended on."""
    rows = tx.rows(
        messages.select()
        .where(messages.c.task_id == task_id, messages.c.ts > after)
        .order_by(messages.c.ts)
        .limit(limit + 1)
    )
    shown = rows[:limit]
    has_more = len(rows) > limit
    return ThreadPage(
        task_id=task_id,
        messages=[_message(row) for row in shown],
        has_more=has_more,
        next_cursor=str(shown[-1]["ts"]) if has_more else None,
    )


def _message(row: Row) -> ThreadMessage:
    return ThreadMessage(
        ts=format_ts(row["ts"]),
        user=row["author_id"],
        username=row["author"],
        text=row["text"],
        is_human=row["is_human"],
        created_at=views.moment(row["created_at"]),
    )
