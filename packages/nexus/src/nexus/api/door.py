"""Where callers come in: who asks, whether it may, and whether the same was asked before."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.auditing import deed_of
from nexus.api.problems import NoToken
from nexus.domain.errors import Invalid
from nexus.domain.principal import Principal
from nexus.services.deeds import Deed, Doer, Requirement, carry_out
from nexus.services.idempotency import Answer, KeyedRequest, once
from nexus.services.platform import Platform
from nexus.store.tx import Tx
from oblivion.protocol import WireModel

R = TypeVar("R")
Act = Callable[[Tx, Principal], R]

IDEMPOTENCY_KEY = "Idempotency-Key"
_LONGEST_KEY = 255

_scheme = OAuth2(
    scheme_name="clientCredentials",
    flows=OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl="/auth/token")),
    auto_error=False,
)


async def platform_of(request: Request) -> Platform:
    """Return the platform that this API serves."""
    platform: Platform = request.app.state.platform
    return platform


Here = Annotated[Platform, Depends(platform_of)]
"""The platform, for what needs no caller."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """One request of a known caller; its role is checked in the transaction of what it does."""

    platform: Platform
    claimed: Principal
    requires: Requirement
    request: KeyedRequest | None = None
    deed: Deed | None = None
    traceparent: str | None = None
    """The trace that the request belongs to, as the caller says."""

    async def read(self, act: Act[R]) -> R:
        """Return what ``act`` finds for the caller."""
        doer = Doer(claimed=self.claimed, requires=self.requires)
        return await self.platform.store.read(doer.enter, act)

    async def write(self, act: Act[R]) -> R:
        """Carry out ``act`` for the caller and return its result once it is on disk.

        What a person does is kept in the audit log, in the same transaction.
        """
        doer = Doer(claimed=self.claimed, requires=self.requires)
        return await carry_out(self.platform, doer, act, self.deed)

    async def post(
        self, act: Act[WireModel], *, status: int = 200, location: str | None = None
    ) -> Response:
        """Carry out a command once, however often it comes, and answer what it returned.

        ``location`` is the address of what the command made, ``/tasks/{id}`` for a task.
        """
        done = await self.write(lambda tx, caller: self._once(tx, caller, act, status))
        headers = {"Idempotency-Replayed": "true"} if done.repeated else {}
        if location is not None:
            headers["Location"] = location.format_map(done.body)
        return answer(done.body, status=done.status, headers=headers)

    def _once(self, tx: Tx, caller: Principal, act: Act[WireModel], status: int) -> Answer:
        return once(tx, self.request, lambda: Answer(status=status, body=act(tx, caller).to_wire()))


class Entrance:
    """Lets those in whose role suffices: a dependency for FastAPI, and what lean routes ask."""

    def __init__(self, requires: Requirement) -> None:
        self._requires = requires

    async def __call__(
        self, request: Request, _authorization: Annotated[str | None, Security(_scheme)]
    ) -> Door:
        """Return the door of the request's caller; how it shows its token, the API tells."""
        return await self.door(request)

    async def door(self, request: Request) -> Door:
        """Return the door of the request's caller.

        Raises:
            Unauthenticated: it shows no token, or one that is not good.
            Forbidden: its role does not suffice.
        """
        platform = await platform_of(request)
        token = _token(request.headers.get("Authorization"))
        claimed = platform.tokens.read(token, platform.clock())
        self._requires(claimed)
        once = (
            await keyed(request, platform, claimed.client_id) if request.method == "POST" else None
        )
        return Door(
            platform=platform,
            claimed=claimed,
            requires=self._requires,
            request=once,
            deed=None if claimed.agent_id is not None else await deed_of(request),
            traceparent=request.headers.get("traceparent"),
        )


def _token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NoToken("send Authorization: Bearer with a token from POST /auth/token")
    return token.strip()


async def keyed(request: Request, platform: Platform, caller: str) -> KeyedRequest | None:
    """Return how the caller named its request; None when it did not.

    Raises:
        Invalid: the name is none.
    """
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid(f"{IDEMPOTENCY_KEY} must be 1 to {_LONGEST_KEY} visible ASCII characters")
    asked = f"{request.method} {request.scope['path']}\n".encode() + await request.body()
    return KeyedRequest(
        client_id=caller,
        key=key,
        # Keyed, because a body may hold a secret that is easy to guess.
        fingerprint=hmac.digest(platform.pepper, asked, "sha256").hex(),
    )


def _anyone(_caller: Principal) -> None:
    """Everyone with a token may."""


def _speaker(caller: Principal) -> None:
    if caller.agent_id is None:
        caller.require_admin()


AdminDoor = Annotated[Door, Depends(Entrance(Principal.require_admin))]
ViewerDoor = Annotated[Door, Depends(Entrance(Principal.require_viewer))]
AgentDoor = Annotated[Door, Depends(Entrance(Principal.require_agent))]
SpeakerDoor = Annotated[Door, Depends(Entrance(_speaker))]
"""For agents and admins: those who act on tasks."""
OpenDoor = Annotated[Door, Depends(Entrance(_anyone))]
"""For every role; what an agent sees is bounded by its groups."""
