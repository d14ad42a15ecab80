"""Where the conversation of a task lives: who says what and takes it back, who hears it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import sqlalchemy as sa
from pydantic import StrictBool

from nexus.domain.errors import NotFound
from nexus.domain.mentions import APP_NAMES, handle_of, mentioned_names
from nexus.domain.principal import Principal
from nexus.services import activity, agents, attempts, events, leases, progress, tasks, views
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
    """Who speaks: an agent by its id, a person by the client it came through.

    A program of somebody else is neither.
    """

    id: str
    name: str
    is_human: bool
    is_agent: bool = False


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How something is said: what for, with which answers to choose from, how loud."""

    kind: MessageKind = MessageKind.MESSAGE
    choices: tuple[str, ...] = ()
    broadcast: bool = False


PLAINLY = Manner()


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A message by its own id and its place in the thread, with the agents that it wakes."""

    id: str
    ts: str
    woken: tuple[str, ...] = ()


def format_ts(microseconds: int) -> str:
    """Write a message's place as Slack does: ``1764000000.000123``."""
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def post(tx: Tx, task: Row, author: Author, text: str, manner: Manner = PLAINLY) -> Posted:
    """Add a message to the thread, tell the holder, wake whom it mentions.

    A person's message sends a task that was blocked on a human back to IN_PROGRESS, unless a call
    of it waits for approval.

    Raises:
        Invalid: the text is too long to be sent to an agent.
    """
    message: Row = {
        "id": new_id(),
        "task_id": task["id"],
        "ts": progress.next_ts(tx, task["id"]),
        "kind": manner.kind,
        "author_id": author.id,
        "author": author.name,
        "is_human": author.is_human,
        "text": text,
        "choices": list(manner.choices) or None,
        "created_at": tx.now,
    }
    tx.insert(messages, message)
    update = _update(task, message)
    events.refuse_oversize(update)
    loud = {"broadcast": True} if manner.broadcast else {}
    _record(
        tx, task, message, "message_posted", agent_id=author.id if author.is_agent else None, **loud
    )
    if author.is_human and task["status"] == TaskStatus.BLOCKED_ON_HUMAN:
        attempts.resume(tx, task)
    told = [*_for_holder(task, update), *_for_mentioned(tx, task, author, text)]
    for agent_id, type_, payload in sorted(told, key=itemgetter(0)):  # all lock in one order
        events.tell(tx, agent_id, type_, payload, events.of_task(task))
    woken = tuple(agent_id for agent_id, type_, _ in told if type_ is EventType.WAKE_UP)
    return Posted(id=message["id"], ts=update.message_ts, woken=woken)


def edit(tx: Tx, task: Row, message_id: str, text: str) -> bool:
    """Change what a message says, and tell the holder; False when there is nothing to change.

    An edit is no new message: it answers nothing and wakes nobody. What was deleted stays so.

    Raises:
        Invalid: the text is too long to be sent to an agent.
        NotFound: there is no such message in the thread.
    """
    message = _find(tx, task, message_id)
    if message["deleted_at"] is not None or message["text"] == text:
        return False
    tx.update(messages, {"text": text, "edited_at": tx.now}, id=message_id)
    _correct(tx, task, {**message, "text": text}, "message_edited", {"edited": True})
    return True


def delete(tx: Tx, task: Row, message_id: str) -> bool:
    """Take a message back, and tell the holder; False when that was done before.

    It keeps its place in the thread, empty.

    Raises:
        NotFound: there is no such message in the thread.
    """
    message = _find(tx, task, message_id)
    if message["deleted_at"] is not None:
        return False
    tx.update(messages, {"text": "", "deleted_at": tx.now}, id=message_id)
    _correct(tx, task, {**message, "text": ""}, "message_deleted", {"deleted": True})
    return True


def _find(tx: Tx, task: Row, message_id: str) -> Row:
    found = tx.one(messages.select().where(messages.c.id == message_id))
    if found is None or found["task_id"] != task["id"]:
        raise NotFound(f"there is no message {message_id} in the thread of task {task['id']}")
    return found


def _correct(tx: Tx, task: Row, message: Row, type_: str, marks: dict[str, bool]) -> None:
    update = _update(task, message).model_copy(update=marks)
    events.refuse_oversize(update)
    _record(tx, task, message, type_)
    for agent_id, event, payload in _for_holder(task, update):
        events.tell(tx, agent_id, event, payload, events.of_task(task))


def post_as_agent(tx: Tx, agent_id: str, wish: PostMessage) -> PostMessageAck:
    """Let an agent speak in the thread of any task of its groups.

    Raises:
        NotFound: no such task in its groups.
    """
    task = leases.visible(tx, agent_id, wish.task_id)
    name = agents.by_id(tx, agent_id)["name"]
    author = Author(id=agent_id, name=name, is_human=False, is_agent=True)
    manner = Manner(kind=wish.kind, choices=tuple(wish.choices), broadcast=wish.broadcast)
    return PostMessageAck(message_ts=post(tx, task, author, wish.text, manner).ts)


def say(tx: Tx, caller: Principal, task_id: str, wish: Say) -> ThreadReplyAck:
    """Let a person speak in the thread of any task of its tenant.

    Raises:
        NotFound: no such task.
    """
    task = tasks.find(tx, caller, task_id, lock=True)
    name = wish.author or caller.client_id
    author = Author(id=caller.client_id, name=name, is_human=True)
    posted = post(tx, task, author, wish.text)
    return ThreadReplyAck(channel_id=task["slack_channel_id"], message_ts=posted.ts)


def reply(tx: Tx, caller: Principal, task_id: str, wish: Reply) -> ThreadReplyAck:
    """Let whoever calls, an agent or a person, speak in the thread.

    Raises:
        NotFound: no such task for the caller.
    """
    if caller.agent_id is None:
        return say(tx, caller, task_id, Say(text=wish.message))
    task = tasks.find(tx, caller, task_id)
    message = PostMessage(task_id=task["id"], text=wish.message, broadcast=wish.broadcast)
    posted = post_as_agent(tx, caller.agent_id, message)
    return ThreadReplyAck(channel_id=task["slack_channel_id"], message_ts=posted.message_ts)


def _record(
    tx: Tx, task: Row, message: Row, type_: str, *, agent_id: str | None = None, **more: bool
) -> None:
    activity.record(
        tx,
        task["tenant_id"],
        type_,
        agent_id=agent_id,
        task=task,
        author=message["author"],
        is_human=message["is_human"],
        kind=message["kind"],
        text=message["text"],
        message_id=message["id"],
        message_ts=format_ts(message["ts"]),
        **more,
    )


def _update(task: Row, message: Row) -> ContextUpdatePayload:
    return ContextUpdatePayload(
        task_id=task["id"],
        slack_channel_id=task["slack_channel_id"],
        slack_thread_ts=task["slack_thread_ts"],
        message_ts=format_ts(message["ts"]),
        author=message["author"],
        author_id=message["author_id"],
        content=message["text"],
        is_human=message["is_human"],
    )


def _for_holder(task: Row, update: ContextUpdatePayload) -> Iterator[_Told]:
    holder = task["holder_agent_id"]
    if task["status"] in HELD_STATUSES and holder != update.author_id:
        yield holder, EventType.CONTEXT_UPDATE, update


def _for_mentioned(tx: Tx, task: Row, author: Author, text: str) -> Iterator[_Told]:
    may_wake = author.is_human or author.is_agent  # two programs would go round in circles
    names = mentioned_names(text) if may_wake else frozenset()
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


def newest(tx: Tx, task_id: str) -> ThreadMessage | None:
    """Return what was said last in a task's thread; None where nobody has spoken."""
    mine = messages.select().where(messages.c.task_id == task_id)
    found = tx.one(mine.order_by(messages.c.ts.desc()).limit(1))
    return None if found is None else _message(found)


def _message(row: Row) -> ThreadMessage:
    return ThreadMessage(
        ts=format_ts(row["ts"]),
        user=row["author_id"],
        username=row["author"],
        text=row["text"],
        is_human=row["is_human"],
        created_at=views.moment(row["created_at"]),
        kind=row["kind"],
        choices=row["choices"] or [],
        edited=row["edited_at"] is not None,
        deleted=row["deleted_at"] is not None,
    )
