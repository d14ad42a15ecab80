"""Where Nexus is asked by an agent that is not let in yet: to be registered, and its status."""

import asyncio
import uuid
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from oblivion._auth import unreachable
from oblivion._bounds import Timeouts
from oblivion._config import Secret
from oblivion._link import unreadable
from oblivion._network import Network
from oblivion._refusals import RETRYABLE_STATUSES, refused_request
from oblivion._route import find_route, open_http
from oblivion.protocol import Registration, RegistrationStatus

_TRIES = 3
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_Model = TypeVar("_Model", bound=BaseModel)


class Lobby:
    """One connection to Nexus without an access token.

    Raises (any method that sends):
        CallRefused: Nexus said no.
        AuthenticationFailed: client id or secret was not accepted.
        NexusUnreachable: nobody answered, or nobody who is a Nexus.
        ProtocolViolation: the answer has not the form it should have.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def register(self, body: dict[str, Any]) -> Registration:
        """Ask to join, once however often that must be sent."""
        request = self._http.build_request(
            "POST", "auth/register", json=body, headers={"Idempotency-Key": str(uuid.uuid4())}
        )
        return _read(await self._persist(request), 201, Registration)

    async def status(self, client_id: str, secret: Secret) -> RegistrationStatus:
        """Ask how a registration stands."""
        # RFC 6749, section 2.3.1: both parts are encoded first.
        auth = httpx2.BasicAuth(quote(client_id, safe=""), quote(secret.reveal(), safe=""))
        try:
            response = await self._http.get("auth/registration-status", auth=auth)
        except httpx2.HTTPError as error:
            raise unreachable(self._http, error) from None
        return _read(response, 200, RegistrationStatus)

    async def _persist(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and again when the answer got lost or Nexus asks to come back."""
        for tries_left in reversed(range(_TRIES)):
            pause = _PAUSE_S
            try:
                response = await self._http.send(request)
                if not tries_left or response.status_code not in RETRYABLE_STATUSES:
                    return response
                pause = _retry_after(response)
            except httpx2.HTTPError as error:
                if not tries_left or isinstance(error, httpx2.ConnectError):
                    raise unreachable(self._http, error) from None
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")


async def open_lobby(nexus_url: str, network: Network) -> Lobby:
    """Return a lobby at this address; it must be closed."""
    # On a thread, for it reads hundreds of certificates from the disk.
    route = await asyncio.to_thread(find_route, nexus_url, network)
    return Lobby(open_http(route, Timeouts()))


def _retry_after(response: httpx2.Response) -> float:
    said = response.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE_S) if said.isdigit() else _PAUSE_S


def _read(response: httpx2.Response, expected: int, model: type[_Model]) -> _Model:
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.status_code != expected:
        raise refused_request(response.status_code, body)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise unreadable(
            response.request.url.path, f"{error.error_count()} problem(s) in the answer"
        ) from None
