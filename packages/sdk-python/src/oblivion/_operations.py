"""Where the calls live that an author makes: about the agent, its tasks, threads and tools."""

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from oblivion._checks import ARGUMENTS
from oblivion._desk import build
from oblivion._json import as_object, to_json
from oblivion._mail import Messages
from oblivion._questions import Asked
from oblivion.errors import InvalidArgument
from oblivion.protocol import (
    MAX_CHOICE,
    MAX_CHOICES,
    AgentStatus,
    ClaimResult,
    ClaimTask,
    ContextUpdatePayload,
    EventType,
    MessageKind,
    PostMessage,
    PostMessageAck,
    Task,
    TaskStatus,
    TaskSummary,
    ThreadMessage,
    ToolInfo,
    ToolResultPayload,
)

if TYPE_CHECKING:
    from oblivion._wiring import Parts


class Operations:
    """The calls of a connected client.

    All of them raise:

    * :class:`~oblivion.NotConnectedError` before ``connect()`` and after the session's end;
    * :class:`~oblivion.InvalidArgument` for a wrong argument, before anything is sent;
    * :class:`~oblivion.CallRefused` (or what is below it) when Nexus refuses.

    Those over the socket wait while the client reconnects, and raise
    :class:`~oblivion.QueueOverflow` when too many wait already and
    :class:`~oblivion.SessionEnded` when the session ends first. Those over HTTP
    (``get_task``, ``get_thread``, ``list_tasks``, ``list_tools``) raise
    :class:`~oblivion.NexusUnreachable`.
    """

    def _parts(self) -> "Parts":
        raise NotImplementedError

    async def update_status(
        self, status: AgentStatus | str, task_id: str | None = None, message: str | None = None
    ) -> None:
        """Say what the agent does: ``idle``, ``working`` or ``error``.

        ``working`` with a task moves that task to IN_PROGRESS.
        """
        known = _status(status)
        ARGUMENTS.optional_text("task_id", task_id)
        ARGUMENTS.optional_text("message", message)
        await self._parts().agent.desk.set_status(known, task_id, message)

    async def send_heartbeat(self) -> None:
        """Send a heartbeat now and wait for its answer; the client sends its own regularly."""
        await self._parts().session.beat()

    async def claim_task(self, task_id: str) -> ClaimResult:
        """Claim an offered task; a won one arrives at ``on_task_assigned``.

        A claim that another agent won is a result with ``success`` False, not an error.
        """
        claim = ClaimTask(task_id=ARGUMENTS.text("task_id", task_id))
        return await self._parts().agent.calls.call(EventType.CLAIM_TASK, claim, ClaimResult)

    async def complete_task(
        self, task_id: str, result: object = None, message: str | None = None
    ) -> None:
        """Finish a held task as DONE, with a result that JSON can hold and a last word.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
            InvalidTransition: a person has ended it meanwhile.
        """
        plain = to_json("result", result)
        await self._move(task_id, TaskStatus.DONE, result=plain, message=message)

    async def fail_task(self, task_id: str, error: str, *, retry: bool = True) -> None:
        """Fail this attempt at a held task.

        Nexus decides whether there is another one; ``retry=False`` says that it could not do
        better.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
        """
        ARGUMENTS.text("error", error)
        hopeless = None if ARGUMENTS.flag("retry", retry) else False
        await self._move(task_id, TaskStatus.FAILED, error=error, retry=hopeless)

    async def release_task(self, task_id: str) -> None:
        """Hand a held task back unfinished; no attempt is used up.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
        """
        await self._move(task_id, TaskStatus.TODO)

    async def block_task(self, task_id: str, message: str | None = None) -> None:
        """Mark a held task as waiting for a person; the agent keeps it.

        When a person writes into its thread, Nexus moves it on, and ``on_context_update`` may
        end it with ``complete_task``. Without that handler the task is handed back, so that its
        handler is called again and finds the answer in the thread. To wait for the answer in
        place, use :meth:`ask_human`.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
        """
        await self._move(task_id, TaskStatus.BLOCKED_ON_HUMAN, message=message)

    async def report_progress(
        self, task_id: str, progress: float, message: str | None = None
    ) -> None:
        """Say how far a held task is, from 0 to 1; it is then IN_PROGRESS.

        It stands in the thread as one message per attempt, which each report edits in place.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
        """
        share = ARGUMENTS.number("progress", progress, low=0)
        if share > 1:
            raise InvalidArgument(f"progress must be from 0 to 1, not {progress}")
        await self._move(task_id, TaskStatus.IN_PROGRESS, progress=share, message=message)

    async def post_message(
        self,
        task_id: str,
        text: str,
        *,
        kind: MessageKind | str = MessageKind.MESSAGE,
        broadcast: bool = False,
        choices: Sequence[str] = (),
    ) -> PostMessageAck:
        """Write into a task's thread and return where the message stands.

        ``broadcast`` shows it in the project's channel, too; ``kind`` is ``message``,
        ``question`` or ``final``. A question may offer ``choices``: at most 25 different
        answers of at most 200 characters.
        """
        offered = _choices(choices)
        if offered and kind != MessageKind.QUESTION:
            raise InvalidArgument("choices need kind='question'")
        message = build(
            PostMessage,
            task_id=ARGUMENTS.text("task_id", task_id),
            text=ARGUMENTS.text("text", text),
            kind=kind,
            broadcast=ARGUMENTS.flag("broadcast", broadcast),
            choices=offered,
            client_message_id=str(uuid.uuid4()),
        )
        return await self._parts().agent.calls.call(EventType.POST_MESSAGE, message, PostMessageAck)

    async def ask_human(
        self,
        task_id: str,
        question: str,
        timeout: float | None = None,
        *,
        choices: Sequence[str] = (),
    ) -> ContextUpdatePayload:
        """Post a question into the thread of a held task and return the answer.

        The task is BLOCKED_ON_HUMAN meanwhile. The answer is the next message of a person that
        is newer than the question; it does not go to ``on_context_update``. ``timeout`` is in
        seconds, None waits without end.

        ``choices`` are answers to choose from, buttons where there are any: at most 25 different
        ones of at most 200 characters. ``content`` is then the chosen one, or what the person
        wrote instead.

        Raises:
            HumanTimeout: nobody answered in time; the task is IN_PROGRESS again.
            LeaseLost: the task is not, or no longer, this agent's.
        """
        ARGUMENTS.text("task_id", task_id)
        ARGUMENTS.text("question", question)
        ARGUMENTS.seconds("timeout", timeout)
        asked = Asked(text=question, choices=_choices(choices))
        return await self._parts().agent.ask_human(task_id, asked, timeout)

    def messages(self, task_id: str, *, wait: bool = True) -> Messages:
        """Return what people write while a handler works on a task, for ``async for``.

        It waits for each further message, until the handler has ended; with ``wait=False`` it ends
        when there is no more to read now. Each message is read once. The client needs
        ``on_busy="steer"``; the answer to :meth:`ask_human` goes to who asked, and not here.

        Raises:
            LeaseLost: no handler of this agent is at work on the task.
            UsageError: the client has another ``on_busy``.
        """
        ARGUMENTS.text("task_id", task_id)
        ARGUMENTS.flag("wait", wait)
        return self._parts().agent.messages(task_id, wait=wait)

    async def get_thread(self, task_id: str, limit: int | None = None) -> list[ThreadMessage]:
        """Return the messages of a task's thread, oldest first, all or the first ``limit``.

        They reach back to before this agent came: what people said (``is_human``), what this and
        other agents said, and how far earlier attempts got (``kind`` is ``progress``).
        """
        ARGUMENTS.text("task_id", task_id)
        if limit is not None:
            ARGUMENTS.whole("limit", limit, low=1, high=1_000_000)
        return await self._parts().rest.get_thread(task_id, limit)

    async def list_tasks(self, available: bool = False) -> list[TaskSummary]:
        """Return the open tasks that this agent holds, or those ``available`` to be claimed."""
        ARGUMENTS.flag("available", available)
        return await self._parts().rest.list_tasks(available=available)

    async def get_task(self, task_id: str) -> Task:
        """Return a task of this agent's groups, by its own id or that of its source."""
        return await self._parts().rest.get_task(ARGUMENTS.text("task_id", task_id))

    async def request_tool(
        self,
        tool: str,
        action: str,
        params: Mapping[str, object] | None = None,
        timeout: float = 30.0,
        task_id: str | None = None,
    ) -> ToolResultPayload:
        """Have Nexus run a tool and return its result, within ``timeout`` seconds.

        A refusal, a time-out and a lost session are results, too: ``success`` is False,
        ``error`` says why, and ``code`` in one word. So are ``params`` that are too large; other
        arguments that are wrong raise.

        Where a person has to approve the call first, ``timeout`` does not count that time, which
        Nexus bounds; a held task named by ``task_id`` is BLOCKED_ON_HUMAN meanwhile. After a
        time-out the tool may still have its effect.
        """
        ARGUMENTS.text("tool", tool)
        ARGUMENTS.text("action", action)
        ARGUMENTS.optional_text("task_id", task_id)
        seconds = ARGUMENTS.number("timeout", timeout, low=0, above=True)
        plain = _params(params)
        return await self._parts().agent.tools.request(tool, action, plain, seconds, task_id)

    async def list_tools(self) -> list[ToolInfo]:
        """Return what this agent may have done for it by :meth:`request_tool`, with schemas."""
        return await self._parts().rest.list_tools()

    async def _move(self, task_id: str, status: TaskStatus, **fields: Any) -> None:
        ARGUMENTS.text("task_id", task_id)
        ARGUMENTS.optional_text("message", fields.get("message"))
        await self._parts().agent.desk.move(task_id, status, **fields)


def _status(value: object) -> AgentStatus:
    word = ARGUMENTS.text("status", value)
    try:
        return AgentStatus(word)
    except ValueError:
        words = ", ".join(status.value for status in AgentStatus)
        raise InvalidArgument(f"status must be one of {words}, not {word!r}") from None


def _choices(value: object) -> list[str]:
    offered = list(ARGUMENTS.names("choices", value))
    if len(offered) > MAX_CHOICES or len(set(offered)) < len(offered):
        raise InvalidArgument(f"choices must be at most {MAX_CHOICES} different ones")
    if any(len(choice) > MAX_CHOICE for choice in offered):
        raise InvalidArgument(f"each of choices must have at most {MAX_CHOICE} characters")
    return offered


def _params(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ARGUMENTS.wrong_type(f"params must be a dict, not {type(value).__name__}")
    return as_object(to_json("params", cast("object", value)))
