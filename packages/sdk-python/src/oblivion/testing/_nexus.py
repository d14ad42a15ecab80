"""Where the fake Nexus lives that an agent's test tells its story to."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Self, Unpack

from oblivion import OblivionClient
from oblivion._config import Overrides
from oblivion._network import Network
from oblivion.errors import UsageError
from oblivion.protocol import (
    FINAL_STATUSES,
    DispatchPolicy,
    EventType,
    MessageKind,
    Task,
    TaskStatus,
    Thought,
    ThreadMessage,
    ToolRequest,
    WakeUpPayload,
)
from oblivion.testing._agents import Agent, Agents
from oblivion.testing._calls import Calls
from oblivion.testing._clock import FakeClock
from oblivion.testing._dispatch import Dispatcher
from oblivion.testing._faults import Faults
from oblivion.testing._http import Http
from oblivion.testing._news import News
from oblivion.testing._refusal import Refusal
from oblivion.testing._server import Heard, Server
from oblivion.testing._tasks import Record, TaskDetails, Tasks
from oblivion.testing._threads import Author, Threads
from oblivion.testing._tokens import Tokens
from oblivion.testing._told import story_of
from oblivion.testing._tools import Answer, Tools

_RECONNECT_SECONDS = 0.01
_DIRECT = Network(trust_env=False)
_SAID = frozenset(MessageKind) - {MessageKind.PROGRESS}


class FakeNexus:
    """A Nexus in the test's own process, on a free port, that does what the story says.

    It behaves as the real one towards agents; one suite of tests holds both to the protocol. What
    people do, a test does with the methods below; each ``task`` may be given as the
    :class:`~oblivion.Task` that :meth:`~oblivion.testing.FakeNexus.assign` returned, or by its id.

    Attributes:
        clock: the time of the story.
        faults: what shall go wrong.
    """

    def __init__(self, *, clock: FakeClock | None = None) -> None:
        self.clock = clock if clock is not None else FakeClock()
        self.faults = Faults()
        self._news = News()
        self._agents = Agents(self.clock, self._news.note)
        self._dispatcher = Dispatcher(self.clock, self._agents)
        self._tasks = Tasks(self.clock, self._agents, self._moved)
        self._threads = Threads(self.clock, self._agents, self._tasks)
        self._tools = Tools()
        self._tokens = Tokens(self.clock, self._agents)
        calls = Calls(self.clock, self._agents, self._tasks, self._threads, self._tools)
        self._server = Server(self.clock, self._agents, self._tokens, calls, self.faults)
        self._http = Http(self._tokens, self._tasks, self._threads, self._tools)

    # --- the place --------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.port}"

    async def __aenter__(self) -> Self:
        await self._server.start(self._http)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._dispatcher.stop()
        await self._server.stop()

    @asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        """Be unreachable for the block; what was accepted is kept."""
        await self._server.stop()
        try:
            yield
        finally:
            await self._server.start(self._http)

    # --- agents -----------------------------------------------------------------------------------

    def credentials(
        self, client_id: str = "my-agent", *, capabilities: Iterable[str] = ()
    ) -> Overrides:
        """Make an agent, if it is not there yet, and return what its client needs to connect.

        For example ``OblivionClient(**nexus.credentials("reviewer"), client_id="reviewer")``.
        """
        agent = self._agents.hire(client_id, capabilities)
        return {
            "nexus_url": self.url,
            "client_secret": agent.secret,
            "reconnect_delay": _RECONNECT_SECONDS,
            "drain_timeout": 0.0,
            "clock": self.clock,
        }

    def environment(self, client_id: str = "my-agent") -> dict[str, str]:
        """Make an agent and return the variables that ``OblivionClient.from_env()`` reads.

        An agent in a process of its own has the machine's clock.
        """
        agent = self._agents.hire(client_id)
        return {
            "OBLIVION_NEXUS_URL": self.url,
            "OBLIVION_CLIENT_ID": client_id,
            "OBLIVION_CLIENT_SECRET": agent.secret,
        }

    @asynccontextmanager
    async def agent(
        self, client: OblivionClient, **options: Unpack[Overrides]
    ) -> AsyncGenerator[OblivionClient]:
        """Have a client, wherever else it connects, be an agent of this Nexus for the block.

        In the end it is disconnected, and what its handlers still do is cancelled; give
        ``drain_timeout`` to see them finish.
        """
        given: Overrides = {**self.credentials(client.client_id), "network": _DIRECT}
        given.update(options)
        with client.override(**given):
            async with client:
                yield client

    def refuse_connections(self, code: str, *, times: int = 1) -> None:
        """Turn the next connections away with a code of the protocol, such as ``agent_pending``."""
        self._tokens.refuse(code, times)

    def expire_tokens(self) -> None:
        """Have all access tokens be past their time."""
        self._tokens.expire()

    async def drop_connection(self, client_id: str | None = None) -> None:
        """Cut an agent's connection; it comes back by itself, soon."""
        self._server.cut(self._agent(client_id))

    # --- people and their tasks -------------------------------------------------------------------

    async def assign(self, title: str, **details: Unpack[TaskDetails]) -> Task:
        """Make a task that goes to a connected agent with a free slot, now or later."""
        return self._tasks.create(title, DispatchPolicy.ASSIGN, details).shown()

    async def offer(self, title: str, **details: Unpack[TaskDetails]) -> Task:
        """Make a task that agents are told of, for one of them to claim."""
        return self._tasks.create(title, DispatchPolicy.CLAIM, details).shown()

    async def say(self, task: Task | str, text: str, *, author: str = "Ann") -> ThreadMessage:
        """Speak in a task's thread as a person."""
        record = self._record(task)
        self._threads.post(record, Author(id=author.lower(), name=author, is_human=True), text)
        return record.thread[-1]

    async def mention(
        self, task: Task | str, text: str = "have a look", *, client_id: str | None = None
    ) -> ThreadMessage:
        """Speak in a task's thread as a person, and mention an agent: it is woken."""
        return await self.say(task, f"@{self._agent(client_id).client_id} {text}")

    async def wake(self, message: str | None = None, *, client_id: str | None = None) -> None:
        """Wake an agent by hand, about no task."""
        call = WakeUpPayload(reason="manual", triggered_by="ann", message=message)
        self._agents.tell(self._agent(client_id), EventType.WAKE_UP, call)

    async def chat(
        self, text: str, *, channel_id: str = "C1", user: str = "U1", task: Task | str | None = None
    ) -> None:
        """Say something in a channel of Slack as a person; connected agents are sent the hint."""
        task_id = None if task is None else self._record(task).id
        said = self._threads.said_in_slack(text, channel_id, user, task_id)
        for agent in self._agents:
            self._agents.hint(agent, EventType.SLACK_MESSAGE, said)

    async def cancel(self, task: Task | str, reason: str | None = None) -> None:
        """End a task for good; a handler that works on it is cancelled."""
        record = self._record(task)
        if record.status in FINAL_STATUSES:
            raise UsageError(f"{record.id} has ended {record.status}; it cannot be cancelled")
        self._tasks.cancel(record, reason)

    async def retry(self, task: Task | str) -> None:
        """Give a task that failed or was cancelled a fresh set of attempts."""
        record = self._record(task)
        if record.status not in FINAL_STATUSES - {TaskStatus.DONE}:
            raise UsageError(f"{record.id} is {record.status}; only what failed is retried")
        self._tasks.retry(record)

    async def lose_lease(self, task: Task | str) -> None:
        """Take a held task away, as if its agent had been silent for too long."""
        record = self._record(task)
        if not record.is_held:
            raise UsageError(f"{record.id} is {record.status}; nobody holds it")
        self._tasks.lose(record)

    # --- tools ------------------------------------------------------------------------------------

    def tool(self, name: str, **actions: Answer) -> None:
        """Answer ``request_tool(name, action, params)`` by a function of ``params`` per action.

        What it returns is the result, what it raises the error. It may be async.
        """
        self._tools.add(name, actions)

    @property
    def tool_requests(self) -> list[ToolRequest]:
        """The tool requests that came, in order."""
        return list(self._tools.requests)

    # --- how things stand -------------------------------------------------------------------------

    def task(self, task: Task | str) -> Task:
        """Return a task as it stands now."""
        return self._record(task).shown()

    def thread(self, task: Task | str) -> list[ThreadMessage]:
        """Return what was said about a task, oldest first."""
        return list(self._record(task).thread)

    def thoughts(self, task: Task | str) -> list[Thought]:
        """Return the trace of a task: what its agents thought and logged, in order."""
        return list(self._record(task).thoughts)

    def heard(self, type_: str | None = None) -> list[Heard]:
        """Return the calls that agents made, all or those of one type, in order."""
        return [call for call in self._server.heard if type_ in {None, call.type}]

    def is_connected(self, client_id: str | None = None) -> bool:
        """Whether an agent is connected and ready."""
        return self._agent(client_id).ready is not None

    # --- expectations -----------------------------------------------------------------------------

    async def expect_status(self, task: Task | str, status: str, *others: str) -> Task:
        """Wait until a task has a status, or one of several, and return it.

        Raises:
            AssertionError: it did not come, or the task ended otherwise; the message tells how
                things stand.
        """
        record, wanted = self._record(task), (status, *others)

        def look() -> Task | None:
            if record.status in wanted:
                return record.shown()
            if record.status in FINAL_STATUSES:
                raise AssertionError(story())
            return None

        def story() -> str:
            return f"expected {' or '.join(wanted)}, but {story_of(record, self._server.heard)}"

        return await self._news.until(look, story)

    async def expect_message(
        self, task: Task | str, text: str = "", *, kind: str | None = None
    ) -> ThreadMessage:
        """Wait for the next message of an agent that has ``text``, and return it.

        ``kind`` is ``message``, ``question``, ``final`` or, when asked for, ``progress``. The next
        is one that stands after the message that was returned the last time.

        Raises:
            AssertionError: it did not come; the message tells how things stand.
        """
        record = self._record(task)

        def look() -> ThreadMessage | None:
            for place, message in enumerate(record.thread[record.read :], record.read + 1):
                wanted = {kind} if kind is not None else _SAID
                said = text in message.text and message.kind in wanted
                if said and not message.is_human:
                    record.read = place
                    return message
            return None

        def story() -> str:
            about = f"expected a message of an agent with {text!r} (kind {kind or 'any'})"
            return f"{about}, but {story_of(record, self._server.heard)}"

        return await self._news.until(look, story)

    async def expect_thought(self, task: Task | str, text: str = "") -> Thought:
        """Wait until there is a thought about a task that has ``text``, and return the first.

        Raises:
            AssertionError: it did not come; the message tells how things stand.
        """
        record = self._record(task)

        def look() -> Thought | None:
            return next((thought for thought in record.thoughts if text in thought.text), None)

        def story() -> str:
            return f"expected a thought with {text!r}, but {story_of(record, self._server.heard)}"

        return await self._news.until(look, story)

    async def expect_connected(self, client_id: str | None = None) -> None:
        """Wait until an agent is connected and ready."""
        agent = self._agent(client_id)
        await self._news.until(
            lambda: agent.ready, lambda: f"expected {agent.client_id} to be connected"
        )

    async def expect_handled(self, client_id: str | None = None) -> None:
        """Wait until an agent has handled everything it was told."""
        agent = self._agent(client_id)

        def look() -> bool | None:
            return None if agent.pending() else True

        def story() -> str:
            return f"expected {agent.client_id} to handle {[e.type for e in agent.pending()]}"

        await self._news.until(look, story)

    def _moved(self) -> None:
        self._dispatcher.look(self._tasks)
        self._news.note()

    def _record(self, task: Task | str) -> Record:
        try:
            return self._tasks.find(task if isinstance(task, str) else task.id)
        except Refusal:
            raise UsageError(f"this Nexus never had the task {task!r}") from None

    def _agent(self, client_id: str | None) -> Agent:
        known = list(self._agents)
        if client_id is None and len(known) == 1:
            return known[0]
        agent = self._agents.get(client_id or "")
        if agent is None:
            names = ", ".join(agent.client_id for agent in known) or "none"
            raise UsageError(f"say which agent is meant by client_id; there are: {names}")
        return agent
