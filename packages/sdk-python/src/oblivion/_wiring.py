"""Where a session is built from its parts; it and its libraries load with the first connect."""

import asyncio
from dataclasses import dataclass

import httpx2

from oblivion._agent import Abilities, Agent, Identity
from oblivion._auth import ClientCredentials
from oblivion._clock import Clock
from oblivion._config import Settings
from oblivion._rest import Rest
from oblivion._route import find_route, open_http
from oblivion._session import Session
from oblivion._socketio import SocketIOConnector


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One session with what it consists of."""

    session: Session
    agent: Agent
    rest: Rest
    http: httpx2.AsyncClient

    async def run(self) -> None:
        """Live; see :meth:`Session.run`."""
        try:
            await self.session.run()
        finally:
            await self.http.aclose()


async def compose(
    settings: Settings, abilities: Abilities, identity: Identity, clock: Clock
) -> Parts:
    """Build a session that has not started."""
    # On a thread, for it reads hundreds of certificates from the disk, where there is TLS at all.
    route = await asyncio.to_thread(find_route, settings.nexus_url, settings.network)
    http = open_http(route, settings.timeouts)
    tokens = ClientCredentials(http, settings.client_id, settings.client_secret, clock)
    agent = Agent(settings, abilities, identity, clock)
    connector = SocketIOConnector(route, clock, settings.timeouts.connect)
    session = Session(settings, agent, connector, tokens, clock)
    return Parts(session=session, agent=agent, rest=Rest(http, tokens), http=http)
