"""Where the public face lives: :class:`OblivionClient`."""

import asyncio
import logging
from collections.abc import Coroutine, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module, metadata
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from oblivion._agent import Identity
from oblivion._bounds import Limits, Timeouts
from oblivion._busy import BusyPolicy
from oblivion._checks import ARGUMENTS
from oblivion._clock import Clock, SystemClock
from oblivion._config import (
    Overrides,
    Settings,
    clean_names,
    clean_secret,
    clean_url,
    options_from_env,
    overridden,
)
from oblivion._decorators import HandlerDecorators
from oblivion._inbox import Inbox
from oblivion._json import small_json
from oblivion._network import Network
from oblivion._operations import Operations
from oblivion._process import LOOPBACK, run
from oblivion._thoughts import TraceHandler, thought
from oblivion.errors import AlreadyConnectedError, Disconnected, NotConnectedError, UsageError
from oblivion.protocol import Thought

if TYPE_CHECKING:
    from oblivion._wiring import Parts

_T = TypeVar("_T")


class OblivionClient(HandlerDecorators, Operations):
    """An agent's connection to Nexus.

    Register handlers with the ``on_...`` decorators, then ``await connect()`` and
    ``await wait()``; or use ``async with client:``; or call ``run()``, which owns the event loop
    and the signals. After its end a client may connect again.

    Args:
        nexus_url: the address of Nexus, such as ``http://localhost:3000``; a path is kept.
        client_id: the agent's OAuth2 client id.
        client_secret: its secret; never shown in a repr, log or error.
        auto_reconnect: come back after a lost connection, until disconnected by hand.
        reconnect_delay: seconds before the first try to come back; they double with every
            further one up to 300, and chance adds up to a fifth.
        capabilities: what the agent can do, such as ``["python", "review"]``; tasks may require
            some.
        version: the agent's own version, shown to people; default is the SDK's.
        max_concurrency: how many tasks the agent works on at once, 1 to 1000.
        drain_timeout: seconds that running handlers get to end when the client stops; after
            them they are cancelled and their tasks handed back.
        on_busy: what happens when people write while a handler works on their task: ``queue``
            (it goes to ``on_context_update``), ``steer`` (to the handler, which reads
            :meth:`messages`), ``interrupt`` (the handler is cancelled and called again, with what
            was said in ``payload.messages``) or ``reject`` (they are told that nobody reads it).
        limits: how much may wait within the client.
        timeouts: how long the client waits for Nexus.
        network: proxy, certificate authorities and client certificate; see
            :class:`~oblivion.Network`.
        clock: where time comes from; tests bring their own.

    Raises:
        ConfigurationError: an argument is wrong; the message says what to change. It is a
            ValueError, too, and a TypeError where the type is wrong.
    """

    def __init__(  # noqa: PLR0913 - the quickstart's signature; what is rarely changed is in `limits`
        self,
        nexus_url: str,
        client_id: str,
        client_secret: str,
        auto_reconnect: bool = True,
        reconnect_delay: float = 5.0,
        *,
        capabilities: Iterable[str] = (),
        version: str = "",
        max_concurrency: int = 1,
        drain_timeout: float = 30.0,
        on_busy: BusyPolicy = "queue",
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        network: Network | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self._settings = Settings(
            nexus_url=clean_url(nexus_url),
            client_id=client_id,
            client_secret=clean_secret(client_secret),
            auto_reconnect=auto_reconnect,
            reconnect_delay=reconnect_delay,
            capabilities=clean_names(capabilities),
            version=version,
            max_concurrency=max_concurrency,
            drain_timeout=drain_timeout,
            on_busy=on_busy,
            limits=limits if limits is not None else Limits(),
            timeouts=timeouts if timeouts is not None else Timeouts(),
            network=network if network is not None else Network(),
        )
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._identity = Identity(sdk=_sdk(), inbox=Inbox())
        self._current: Parts | None = None
        self._opening: asyncio.Task[None] | None = None
        self._beginning: Parts | None = None
        self._called_off = False
        self._running: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return a client made from ``OBLIVION_*`` variables (of ``os.environ`` by default).

        ``OBLIVION_NEXUS_URL``, ``OBLIVION_CLIENT_ID`` and ``OBLIVION_CLIENT_SECRET`` are
        required; ``OBLIVION_AUTO_RECONNECT``, ``OBLIVION_RECONNECT_DELAY``,
        ``OBLIVION_CAPABILITIES`` (separated by commas), ``OBLIVION_VERSION``,
        ``OBLIVION_MAX_CONCURRENCY`` and ``OBLIVION_DRAIN_TIMEOUT`` are optional, and so are
        those of the :class:`~oblivion.Network`: ``OBLIVION_PROXY``, ``OBLIVION_CA_FILE``,
        ``OBLIVION_CLIENT_CERTIFICATE``, ``OBLIVION_CLIENT_KEY`` and
        ``OBLIVION_CLIENT_KEY_PASSWORD``.

        Raises:
            ConfigurationError: a required variable is missing, or one cannot be read.
        """
        return cls(**options_from_env(environ))

    @property
    def connected(self) -> bool:
        """Whether the client is connected and ready at this moment."""
        return self._current is not None and self._current.session.connected

    @property
    def client_id(self) -> str:
        """The client id that this agent connects with."""
        return self._settings.client_id

    @property
    def agent_id(self) -> str | None:
        """The id that Nexus knows this agent by; None before the first connect."""
        return self._current.session.agent_id if self._current is not None else None

    @contextmanager
    def override(self, **options: Unpack[Overrides]) -> Generator[Self]:
        """Connect otherwise for the block: to the Nexus of a test, as if for the first time.

        ``options`` are those of the client that a test may want to change: ``nexus_url``,
        ``client_secret``, ``auto_reconnect``, ``reconnect_delay``, ``max_concurrency``,
        ``drain_timeout``, ``limits``, ``network`` and ``clock``.

        Raises:
            AlreadyConnectedError: the client is connected, or is just connecting.
            ConfigurationError: an option is wrong.
        """
        if self._opening is not None or self._is_live():
            raise AlreadyConnectedError("override() needs a client that is not connected")
        before = self._settings, self._clock, self._identity
        self._settings = overridden(self._settings, options)
        self._clock = options.get("clock", self._clock)
        self._identity = Identity(sdk=self._identity.sdk, inbox=Inbox())
        try:
            yield self
        finally:
            self._settings, self._clock, self._identity = before

    async def connect(self) -> None:
        """Connect, and return when Nexus may send work. Reconnecting starts only after this.

        Raises:
            NexusUnreachable: nothing usable answered at ``nexus_url``.
            AuthenticationFailed: client id or secret was not accepted.
            AgentPending: an admin has not approved the agent yet.
            AgentRejected: an admin rejected the agent.
            AgentDisabled: the agent is disabled.
            ProtocolUnsupported: this SDK and this Nexus do not fit together.
            ConnectRefused: Nexus refused for another reason, named by ``code``.
            AlreadyConnectedError: the client is connected, or is just connecting.
            InvalidHandlerError: the task handler is a plain function, which ``on_busy`` cannot
                reach.
        """
        if self._opening is not None or self._is_live():
            raise AlreadyConnectedError(
                "connect() was called already: use one client per agent, and wait() or "
                "disconnect() before connecting again"
            )
        self._abilities.handlers.check_reachable(self._settings.on_busy)
        self._abilities.freeze(True)
        self._called_off = False
        self._opening = asyncio.ensure_future(self._open())
        try:
            await self._opening
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
        finally:
            self._opening = self._beginning = None
            self._abilities.freeze(self._is_live())
        if self._called_off:
            await self.disconnect()
            raise Disconnected("disconnect() was called while connecting")

    async def wait(self) -> None:
        """Wait for the end: return after ``disconnect()``, raise when the session cannot go on.

        Raises:
            SessionSuperseded: a newer session of the same agent took over.
            ConnectionLost: the connection was lost and ``auto_reconnect`` is off.
            ConnectRefused: the credentials are no longer accepted, or the agent was disabled.
            NotConnectedError: ``connect()`` was not called.
        """
        if self._running is None:
            raise NotConnectedError("there is nothing to wait for: await connect() first")
        await asyncio.shield(self._running)

    async def disconnect(self) -> None:
        """Stop: take no more tasks, let handlers end (``drain_timeout``), close.

        Returns when all is closed; within a handler, at once, and the client stops when the
        handler has ended. Without a connection it does nothing.
        """
        if self._opening is not None:
            await self._call_off(self._opening)
        if self._current is None or self._running is None:
            return
        self._current.session.stop()
        if self._current.agent.crew.handling() is None:
            with suppress(Exception):
                await asyncio.shield(self._running)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    def run(self, *, livez_port: int | None = None, livez_host: str = LOOPBACK) -> None:
        """Connect and serve until a signal: own the event loop, from start to end.

        The first SIGINT or SIGTERM drains as :meth:`disconnect` does, the second quits at once.
        For the arguments, the errors, and several clients in one process see
        :func:`oblivion.run`.
        """
        run(self, livez_port=livez_port, livez_host=livez_host)

    def think(self, task_id: str, text: str, *, data: object = None) -> None:
        """Note a thought about a task, with what JSON can hold: in its trace, never in its thread.

        It returns at once, from any thread, and is not awaited. Thoughts are sent a few at a time;
        where too many wait, the newest are dropped, and the trace says how many. A text is cut
        after 2000 characters.

        Raises:
            InvalidArgument: an argument is wrong, or ``data`` takes more than 16 KiB.
            NotConnectedError: the client is not connected.
        """
        ARGUMENTS.text("task_id", task_id)
        plain = small_json("data", data)
        self._note(task_id, thought(ARGUMENTS.text("text", text), self._clock.now(), data=plain))

    def log_handler(self, level: int | str = logging.INFO) -> logging.Handler:
        """Return a handler for ``logging`` that sends log lines to the traces of their tasks.

        A line belongs to the task whose handler wrote it; others are left, and so are the SDK's
        own. It behaves as :meth:`think` does.
        """
        return TraceHandler(self._trace, level)

    def _trace(self, text: str, level: str, logger: str) -> None:
        handling = self._current.agent.crew.handling() if self._current is not None else None
        if handling is None or handling.task_id is None or not self._is_live() or not text.strip():
            return
        self._note(handling.task_id, thought(text, self._clock.now(), level=level, logger=logger))

    def _note(self, task_id: str, noted: Thought) -> None:
        add, loop = self._parts().agent.thoughts.add, self._loop
        if loop is None or _running_loop() is loop:
            add(task_id, noted)
        else:
            loop.call_soon_threadsafe(add, task_id, noted)

    def from_thread(self, call: Coroutine[Any, Any, _T]) -> _T:
        """Make a call from a handler that is a plain function, and return its result.

        For example ``client.from_thread(client.update_status("working", payload.task_id))``.

        Raises:
            NotConnectedError: the client was never connected.
            UsageError: called on the event loop's own thread, where ``await`` is the way.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            call.close()
            raise NotConnectedError("from_thread() needs a connected client: call connect() first")
        if _running_loop() is not None:
            call.close()
            raise UsageError("from_thread() is for plain functions: here, await the call itself")
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    def __repr__(self) -> str:
        settings = self._settings
        state = "connected" if self.connected else "not connected"
        return f"<OblivionClient {settings.client_id!r} at {settings.nexus_url} ({state})>"

    def _parts(self) -> "Parts":
        if self._current is None:
            raise NotConnectedError("the client is not connected: await connect() first")
        if not self._is_live():
            raise NotConnectedError("the session has ended: await connect() to begin another")
        return self._current

    def _is_live(self) -> bool:
        return self._running is not None and not self._running.done()

    async def _open(self) -> None:
        # The network libraries load now, on a thread: the loop has other work meanwhile.
        await asyncio.to_thread(import_module, "oblivion._wiring")
        from oblivion._wiring import compose  # noqa: PLC0415 - see above

        parts = await compose(self._settings, self._abilities, self._identity, self._clock)
        self._beginning = parts
        try:
            await parts.session.start()
        except BaseException:
            await parts.http.aclose()
            raise
        self._loop = asyncio.get_running_loop()
        self._current = parts
        self._running = asyncio.create_task(parts.run(), name="oblivion-session")
        self._running.add_done_callback(self._ended)

    async def _call_off(self, opening: asyncio.Task[None]) -> None:
        """Cancel a connect; complete one over which Nexus may send work, so that it goes back."""
        self._called_off = True
        beginning = self._beginning
        if beginning is not None and beginning.session.announced:
            beginning.agent.retire()
        else:
            opening.cancel()
        await asyncio.wait({opening})

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._abilities.freeze(False)
        if not running.cancelled():
            running.exception()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _sdk() -> str:
    try:
        return f"python/{metadata.version('oblivion-sdk')}"
    except metadata.PackageNotFoundError:
        return "python/0"
