"""Where agents wait for people: a question is posted, the next human message answers it."""

import asyncio
import copy
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain

from oblivion._calls import Calls
from oblivion._clock import Clock, within
from oblivion._desk import Desk, build
from oblivion._held import Hold
from oblivion._inbox import Receipt
from oblivion._logging import get_log
from oblivion._mail import Message
from oblivion.errors import HumanTimeout, LeaseLost, OblivionError
from oblivion.protocol import (
    ContextUpdatePayload,
    EventType,
    MessageKind,
    PostMessage,
    PostMessageAck,
    TaskStatus,
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked, and the answers to choose from."""

    text: str
    choices: list[str]


_log = get_log("questions")


class Questions:
    """The open questions of this agent.

    The message that answers a question goes to who asked, not to ``on_context_update``. While a
    question is on its way, messages are held until it is known where it stands in the thread:
    what was said before it is not its answer, and is passed on.
    """

    def __init__(
        self, calls: Calls, desk: Desk, clock: Clock, pass_on: Callable[[Message], None]
    ) -> None:
        self._calls = calls
        self._desk = desk
        self._clock = clock
        self._pass_on = pass_on
        self._open: dict[str, list[_Question]] = {}
        self._unblocking: set[asyncio.Task[None]] = set()

    def take(self, message: ContextUpdatePayload, receipt: Receipt) -> bool:
        """Give a message to the question it answers or may answer; False if there is none."""
        if not message.is_human or message.edited or message.deleted:
            return False
        waiting = [q for q in self._open.get(message.task_id, []) if not q.answer.done()]
        return any(question.take((message, receipt)) for question in waiting)

    def lose(self, task_id: str, reason: str) -> None:
        """End the questions of a task that this agent no longer holds."""
        for question in self._open.get(task_id, []):
            message = f"the task {task_id!r} was lost: {reason}"
            question.fail(LeaseLost(message, code="lease_lost"))

    def fail(self, error: OblivionError) -> None:
        """End all questions with the session."""
        for question in chain.from_iterable(self._open.values()):
            question.fail(copy.copy(error))

    async def ask(
        self, task_id: str, asked: Asked, timeout: float | None
    ) -> tuple[ContextUpdatePayload, Receipt]:
        """Block the task, post the question, and return the message that answers it.

        The task is blocked first: an answer, however quick, then always finds it blocked, and
        Nexus moves it on.

        Raises:
            HumanTimeout: nobody answered within ``timeout`` seconds.
            LeaseLost: the task is not, or no longer, this agent's.
        """
        hold = self._desk.hold(task_id)
        question = _Question()
        self._open.setdefault(task_id, []).append(question)
        try:
            await self._desk.write(hold, TaskStatus.BLOCKED_ON_HUMAN)
            answer = await self._answer(question, task_id, asked, timeout)
            if self._waits_for_others(question, task_id):
                await self._go_on(question, hold)
            question.used = True
            return answer
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            # Who asked gave up, perhaps with a timeout of its own, and cannot wait for this.
            unblocking = asyncio.create_task(self._go_on(question, hold), name="oblivion-unblock")
            self._unblocking.add(unblocking)
            unblocking.add_done_callback(self._unblocking.discard)
            raise
        except Exception:
            await self._go_on(question, hold)
            raise
        finally:
            self._close(task_id, question)

    async def _go_on(self, question: "_Question", hold: Hold) -> None:
        """Unblock a task whose question nobody waits for any more, unless another is open.

        The answer to one of several had Nexus move the task on; it is blocked still.
        """
        others = self._waits_for_others(question, hold.task_id)
        status = TaskStatus.BLOCKED_ON_HUMAN if others else TaskStatus.IN_PROGRESS
        with suppress(OblivionError):
            await self._desk.write(hold, status)

    def _waits_for_others(self, question: "_Question", task_id: str) -> bool:
        return any(q is not question and not q.answer.done() for q in self._open.get(task_id, []))

    async def _answer(
        self, question: "_Question", task_id: str, asked: Asked, timeout: float | None
    ) -> Message:
        message = build(
            PostMessage,
            task_id=task_id,
            text=asked.text,
            kind=MessageKind.QUESTION,
            choices=asked.choices,
            client_message_id=str(uuid.uuid4()),
        )
        posted = await self._calls.call(EventType.POST_MESSAGE, message, PostMessageAck)
        for early in question.posted(posted.message_ts):
            self._pass_on(early)
        _log.debug("question_posted", task_id=task_id)
        try:
            async with within(self._clock, timeout):
                return await question.answer
        except TimeoutError:
            raise HumanTimeout(
                f"nobody answered within {timeout:g} s: {asked.text!r:.200}"
            ) from None

    def _close(self, task_id: str, question: "_Question") -> None:
        questions = self._open.get(task_id, [])
        if question in questions:
            questions.remove(question)
        if not questions:
            self._open.pop(task_id, None)
        for unused in question.unused():
            self._pass_on(unused)


class _Question:
    """One question: where it stands in the thread, what came meanwhile, who waits."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.used = False
        self._posted_at: str | None = None
        self._early: list[Message] = []

    def take(self, message: Message) -> bool:
        """Take a message as the answer, or hold it until the question is posted."""
        if self._posted_at is None:
            self._early.append(message)
            return True
        if _order(message[0].message_ts, self._posted_at) == _EARLIER:
            return False
        self.answer.set_result(message)
        return True

    def posted(self, at: str) -> list[Message]:
        """Note where the question stands; return the held messages that do not answer it."""
        self._posted_at = at
        others, self._early = self._early, []
        for message in others:
            if _order(message[0].message_ts, at) == _LATER and self.take(message):
                others.remove(message)
                break
        return others

    def fail(self, error: OblivionError) -> None:
        """End the waiting, unless the answer is there."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def unused(self) -> list[Message]:
        """Return what was taken and never reached who asked."""
        answered = self.answer.done() and not self.answer.cancelled()
        if answered and self.answer.exception() is None and not self.used:
            return [*self._early, self.answer.result()]
        return self._early


_EARLIER, _UNKNOWN, _LATER = -1, 0, 1


def _order(one: str, other: str) -> int:
    """Compare two places in a thread, written as Slack does: seconds, a dot, microseconds."""
    try:
        return _LATER if Decimal(one) > Decimal(other) else _EARLIER
    except InvalidOperation:
        return _UNKNOWN
