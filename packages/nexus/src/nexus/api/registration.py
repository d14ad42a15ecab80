"""Where agents ask to join, with a registration token, and ask what became of it."""

from fastapi import APIRouter, Request, Security
from fastapi.security.http import HTTPBase
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.auditing import registered
from nexus.api.bodies import JsonRoute
from nexus.api.credentials import OAuthError, read_basic
from nexus.api.door import Here, keyed
from nexus.api.hashing import Hashing
from nexus.api.problems import NotProven
from nexus.api.proving import proven
from nexus.domain.audit_chain import End
from nexus.services import registration, registration_tokens
from nexus.services.idempotency import Answer, KeyedRequest, came_before, once
from nexus.services.registration import RegisterAgent
from nexus.services.secrets import hash_registration_token, hash_secret, make_secret
from nexus.store.tx import Row, Tx
from oblivion.protocol import Registration, RegistrationStatus

router = APIRouter(tags=["auth"], route_class=JsonRoute)

_NO_STORE = {"Cache-Control": "no-store"}
_basic = HTTPBase(scheme="basic", scheme_name="clientSecret", auto_error=False)
"""For the description alone; the credentials are read as those for a token are."""


@router.post(
    "/agents/register", status_code=201, response_model=Registration, name="register_agent_too"
)
@router.post("/auth/register", status_code=201, response_model=Registration)
async def register_agent(
    request: Request, platform: Here, hashers: Hashing, wish: RegisterAgent
) -> Response:
    """Ask to join a group, with a registration token; an admin decides.

    A secret that Nexus makes is shown here and never again.
    """
    shown = wish.registration_token.get_secret_value()
    token = await platform.store.read(
        registration_tokens.known, hash_registration_token(shown, platform.pepper)
    )
    named = await keyed(request, platform, f"registration:{token['id']}")
    await platform.store.read(_refuse_early, token, named)
    secret = make_secret() if wish.client_secret is None else wish.client_secret.get_secret_value()
    hashed = await hashers.run(hash_secret, secret, platform.pepper)

    def register(tx: Tx) -> Answer:
        made = registration.register(tx, token["token_hash"], wish, hashed)
        seen = {"client_secret": secret} if wish.client_secret is None else {}
        return Answer(status=201, body=made.model_copy(update=seen).to_wire())

    def register_once(tx: Tx) -> tuple[Answer, End | None]:
        done = once(tx, named, lambda: register(tx))
        return done, registered(tx, platform, request, token, done)

    done, end = await platform.store.write(register_once)
    if end is not None:
        await platform.anchor.hold(end)
    headers = {"Idempotency-Replayed": "true"} if done.repeated else {}
    return answer(done.body, status=done.status, headers=_NO_STORE | headers)


def _refuse_early(tx: Tx, token: Row, named: KeyedRequest | None) -> None:
    """Refuse a token that lets nobody in before its secret is hashed, which is slow on purpose."""
    if not came_before(tx, named):
        registration_tokens.require_active(tx, token)


@router.get(
    "/auth/registration-status",
    response_model=RegistrationStatus,
    dependencies=[Security(_basic)],
)
async def show_registration_status(request: Request, platform: Here) -> Response:
    """Tell an agent whether it was approved.

    It proves itself with HTTP Basic, also while it waits.
    """
    client = await _proven(request)
    return answer(await platform.store.read(registration.status, client))


async def _proven(request: Request) -> Row:
    try:
        credentials = read_basic(request)
        if credentials is None:
            raise NotProven("send the agent's client id and secret with HTTP Basic")
        return await proven(request, credentials)
    except OAuthError as refusal:
        raise NotProven(refusal.description) from refusal
