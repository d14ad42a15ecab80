"""Where the conversation of a task lives: who says what, who hears it, whom it wakes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from oblivion._clock import Clock
from oblivion.protocol import (
    ContextUpdatePayload,
    EventType,
    MessageKind,
    SlackMessagePayload,
    TaskStatus,
    TaskUpdate,
    ThreadMessage,
    ThreadPage,
    WakeUpPayload,
)
from oblivion.testing._agents import Agent, Agents
from oblivion.testing._tasks import Record, Tasks

_APP_NAMES = frozenset({"oblivion", "nexus"})
_MENTION = re.compile(r"(?<![\w@/.])@([A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]|[A-Za-z0-9])")


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who speaks."""

    id: str
    name: str
    is_human: bool


class Threads:
    """The threads of all tasks."""

    def __init__(self, clock: Clock, agents: Agents, tasks: Tasks) -> None:
        self._clock = clock
        self._agents = agents
        self._tasks = tasks
        self._newest = 0

    def post(
        self,
        task: Record,
        author: Author,
        text: str,
        kind: MessageKind = MessageKind.MESSAGE,
        choices: Sequence[str] = (),
    ) -> str:
        """Add a message, tell the holder, wake whom it mentions; return its ``ts``.

        A person's message sends a task that was blocked on a human back to IN_PROGRESS.
        """
        message = self._message(author, text, kind, choices)
        task.thread.append(message)
        if author.is_human and task.status is TaskStatus.BLOCKED_ON_HUMAN:
            self._tasks.resume(task)
        self._tell_holder(task, author, message)
        self._wake_mentioned(task, author, text)
        self._tasks.look()
        return message.ts

    def show_progress(self, task: Record, agent: Agent, wish: TaskUpdate) -> None:
        """Show how far the holder is, in one message per attempt."""
        share = f"{wish.progress or 0.0:.0%}".replace("%", " %")
        text = f"{share}: {wish.message}" if wish.message else share
        for place, said in enumerate(task.thread):
            if said.kind == MessageKind.PROGRESS and place >= task.said_before:
                edited = said.edited or said.text != text
                task.thread[place] = said.model_copy(update={"text": text, "edited": edited})
                return
        author = Author(id=agent.id, name=agent.name, is_human=False)
        task.thread.append(self._message(author, text, MessageKind.PROGRESS))

    def said_in_slack(
        self, text: str, channel_id: str, user: str, task_id: str | None
    ) -> SlackMessagePayload:
        """Return what agents hear of a message in a channel."""
        return SlackMessagePayload(
            channel_id=channel_id,
            message_ts=self._next_ts(),
            text=text,
            user=user,
            task_id=task_id,
            project_id="project-1",
            project_name="Tests",
            group_id="group-1",
            group_name="Team",
        )

    def _next_ts(self) -> str:
        now = round(self._clock.now().timestamp() * 1_000_000)
        self._newest = max(now, self._newest + 1)
        return f"{self._newest // 1_000_000}.{self._newest % 1_000_000:06d}"

    def _message(
        self, author: Author, text: str, kind: MessageKind, choices: Sequence[str] = ()
    ) -> ThreadMessage:
        return ThreadMessage(
            ts=self._next_ts(),
            user=author.id,
            username=author.name,
            text=text,
            is_human=author.is_human,
            kind=kind,
            choices=list(choices),
            created_at=self._clock.now(),
        )

    def page(self, task: Record, limit: int, cursor: str | None) -> ThreadPage:
        """Return messages in order; ``cursor`` is that of the page before."""
        start = int(cursor or 0)
        shown = task.thread[start : start + limit]
        has_more = start + limit < len(task.thread)
        return ThreadPage(
            task_id=task.id,
            messages=shown,
            has_more=has_more,
            next_cursor=str(start + limit) if has_more else None,
        )

    def _tell_holder(self, task: Record, author: Author, message: ThreadMessage) -> None:
        if not task.is_held or task.holder is None or task.holder.id == author.id:
            return
        update = ContextUpdatePayload(
            task_id=task.id,
            message_ts=message.ts,
            author=author.name,
            author_id=author.id,
            content=message.text,
            is_human=author.is_human,
        )
        self._agents.tell(task.holder, EventType.CONTEXT_UPDATE, update, task.traceparent)

    def _wake_mentioned(self, task: Record, author: Author, text: str) -> None:
        names = {name.lower() for name in _MENTION.findall(text)}
        for agent in self._agents:
            by_app = bool(names & _APP_NAMES) and task.is_held_by(agent)
            if agent.id != author.id and (by_app or agent.client_id.lower() in names):
                wake = WakeUpPayload(
                    reason="mention", task_id=task.id, triggered_by=author.name, message=text
                )
                self._agents.tell(agent, EventType.WAKE_UP, wake, task.traceparent)
