"""Where a session lives: connect, greet, beat, notice the loss, wait, connect again, end."""

import asyncio
import random
from functools import partial
from typing import Any

from pydantic import ValidationError

from oblivion._agent import Agent
from oblivion._auth import TokenSource
from oblivion._clock import Clock, sleep, within
from oblivion._config import Settings
from oblivion._json import as_object
from oblivion._link import Link, Loss, unreadable
from oblivion._logging import get_log
from oblivion._reconnect import Backoff
from oblivion._refusals import refused_call, refused_connect
from oblivion._telemetry import connecting
from oblivion._transport import Connector
from oblivion.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectRefused,
    Disconnected,
    NexusUnreachable,
    NotConnectedError,
    OblivionError,
    ProtocolUnsupported,
    SessionEnded,
)
from oblivion.protocol import (
    PROTOCOL_VERSION,
    AgentReadyAck,
    ConnectedPayload,
    ErrorCode,
    EventType,
)

_log = get_log("session")


class Session:
    """The one owner of an agent's connection, from ``start`` to the end of ``run``."""

    def __init__(
        self,
        settings: Settings,
        agent: Agent,
        connector: Connector,
        tokens: TokenSource,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._agent = agent
        self._connector = connector
        self._tokens = tokens
        self._clock = clock
        self._stopping = asyncio.Event()
        self._online = asyncio.Event()
        self._decided = asyncio.Event()
        self._decided.set()
        self._link: Link | None = None
        self._ended: OblivionError | None = None
        self._greeting: ConnectedPayload | None = None

    @property
    def connected(self) -> bool:
        """Whether the agent is connected and ready at this moment."""
        return self._link is not None and self._link.alive

    @property
    def agent_id(self) -> str | None:
        """The id that Nexus knows the agent by, once connected."""
        return self._greeting.agent_id if self._greeting is not None else None

    @property
    def announced(self) -> bool:
        """Whether Nexus may send work over a connection that is not complete yet."""
        return not self._decided.is_set()

    async def start(self) -> None:
        """Open the first connection, or raise why it cannot be opened."""
        await self._open()

    def stop(self) -> None:
        """Make :meth:`run` drain and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Live until :meth:`stop` (returns) or until the session cannot go on.

        Raises:
            SessionEnded: a newer session took over, or the connection was lost for good.
            ConnectRefused: Nexus does not let the agent in again.
        """
        error: OblivionError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                error = await self._live(group)
        finally:
            await self._close(error or Disconnected("the client was disconnected"))
        if error is not None:
            raise error

    async def beat(self) -> None:
        """Send a heartbeat by hand and wait for its answer.

        Raises:
            NotConnectedError: the session has ended.
        """
        while True:
            await self._online.wait()
            link = self._link
            if link is None:
                raise NotConnectedError(f"the session has ended ({self._ended})")
            try:
                await link.ask(EventType.HEARTBEAT, self._agent.heartbeat())
                return
            except ConnectionLost:
                self._gone(link)

    async def _live(self, group: asyncio.TaskGroup) -> OblivionError | None:
        upkeep = group.create_task(self._stay_connected(), name="oblivion-upkeep")
        claiming = group.create_task(self._agent.claimer.run(), name="oblivion-claims")
        thinking = group.create_task(self._agent.thoughts.run(), name="oblivion-thoughts")
        stopping = group.create_task(self._stopping.wait(), name="oblivion-stop")
        await _first(upkeep, stopping)
        claiming.cancel()
        if not upkeep.done():
            draining = group.create_task(self._drain(), name="oblivion-drain")
            await _first(upkeep, draining)
            draining.cancel()
        stopping.cancel()
        thinking.cancel()
        upkeep.cancel()
        return upkeep.result() if upkeep.done() else None

    async def _drain(self) -> None:
        """Tell Nexus to send no more tasks, and finish those at hand."""
        _log.info("draining")
        self._agent.retire()
        await self._decided.wait()
        link = self._link
        if link is not None and link.alive:
            await self._announce_again(link)
        await self._agent.drain()

    async def _announce_again(self, link: Link) -> None:
        try:
            async with within(self._clock, self._settings.timeouts.close):
                said = await link.ask(EventType.AGENT_READY, self._agent.announcement())
            self._agent.accept(_read_ready(said))
        except (OblivionError, TimeoutError) as error:
            _log.debug("announcement_failed", reason=str(error))

    async def _stay_connected(self) -> OblivionError | None:
        """Keep a connection until the session cannot go on; return why."""
        while self._link is not None:
            loss = await self._keep(self._link)
            await self._lose(self._link, loss.reason)
            if loss.error is not None:
                return loss.error
            if not self._settings.auto_reconnect:
                return ConnectionLost(f"the connection was lost: {loss.reason}")
            try:
                await self._reconnect()
            except OblivionError as error:
                return error
        return None

    async def _keep(self, link: Link) -> Loss:
        """Beat until the connection is lost."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat(link), name="oblivion-heartbeat")
            await asyncio.wait({link.lost})
            beating.cancel()
        return link.lost.result()

    async def _beat(self, link: Link) -> None:
        interval = self._greeting.heartbeat_interval_ms / 1000 if self._greeting else 30.0
        while link.alive:
            await sleep(self._clock, interval)
            try:
                said = await link.ask(EventType.HEARTBEAT, self._agent.heartbeat())
            except OblivionError:
                return
            refusal = refused_call(said)
            if refusal is not None and not refusal.retryable:
                link.drop(f"the heartbeat was refused: {refusal}")

    async def _lose(self, link: Link, reason: str) -> None:
        self._gone(link)
        _log.info("disconnected", reason=reason)
        self._agent.offline(reason)
        await link.close()

    def _gone(self, link: Link) -> None:
        if self._link is link:
            self._online.clear()

    async def _reconnect(self) -> None:
        """Try until connected; raise only what another try cannot mend."""
        backoff = Backoff(
            initial=self._settings.reconnect_delay, hint=self._agent.take_reconnect_after()
        )
        while True:
            delay, backoff = backoff.next(random.random())
            _log.info("reconnecting", seconds=round(delay, 1), attempt=backoff.attempt)
            await sleep(self._clock, delay)
            try:
                return await self._open()
            except (ConnectRefused, SessionEnded) as error:
                if not error.retryable:
                    raise
                backoff = backoff.while_stopped(_is_stopped(error))
                _log.warning("reconnect_failed", reason=str(error))
            except OblivionError as error:
                _log.warning("reconnect_failed", reason=str(error))

    async def _open(self) -> None:
        """Connect; a token that is no longer accepted is replaced, once."""
        with connecting(self._settings.client_id, self._settings.nexus_url):
            await self._open_link()

    async def _open_link(self) -> None:
        token = await self._tokens.token()
        try:
            await self._connect(token)
        except AuthenticationFailed:
            self._tokens.forget(token)
            await self._connect(await self._tokens.token())

    async def _connect(self, token: str) -> None:
        link = Link(self._clock, self._settings.timeouts.ack)
        link.bind(await self._connector.open(token, link.deliver))
        try:
            greeting, ready = await self._shake_hands(link)
            self._link, self._greeting = link, greeting
            self._agent.online(link, greeting, ready)
            link.release(partial(self._agent.receive, link))
        except BaseException:
            await link.close()
            raise
        finally:
            self._decided.set()
        self._online.set()
        _log.info("connected", agent_id=greeting.agent_id, session_id=greeting.session_id)

    async def _shake_hands(self, link: Link) -> tuple[ConnectedPayload, AgentReadyAck]:
        timeout = self._settings.timeouts.connect
        try:
            async with within(self._clock, timeout):
                greeting = _read_greeting(await link.first(link.greeted))
                self._decided.clear()
                said = await link.ask(EventType.AGENT_READY, self._agent.announcement())
                return greeting, _read_ready(said)
        except TimeoutError:
            raise NexusUnreachable(
                f"{self._settings.nexus_url} did not complete the handshake within {timeout:g} s"
            ) from None
        except ConnectionLost as error:
            raise NexusUnreachable(f"during the handshake {error}") from None

    async def _close(self, error: OblivionError) -> None:
        self._ended = error
        link, self._link = self._link, None
        self._agent.offline(str(error))
        self._agent.fail(error)
        self._online.set()
        if link is not None:
            await link.close(flush=link.alive)
        await self._agent.close()
        _log.info("session_ended", reason=str(error))


def _is_stopped(error: OblivionError) -> bool:
    return isinstance(error, ConnectRefused) and error.code == ErrorCode.AGENTS_STOPPED


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _read_greeting(said: object) -> ConnectedPayload:
    try:
        greeting = ConnectedPayload.model_validate(said)
    except ValidationError as error:
        raise unreadable("the connect", f"{error.error_count()} problem(s)") from None
    if greeting.protocol != PROTOCOL_VERSION:
        raise ProtocolUnsupported(
            f"Nexus speaks protocol {greeting.protocol}, this SDK {PROTOCOL_VERSION}: "
            "update the older of the two",
            code="protocol_unsupported",
        )
    return greeting


def _read_ready(said: object) -> AgentReadyAck:
    if refused_call(said) is not None:
        raise refused_connect(as_object(said)["error"])
    try:
        return AgentReadyAck.model_validate(said)
    except ValidationError as error:
        raise unreadable("agent_ready", f"{error.error_count()} problem(s)") from None
