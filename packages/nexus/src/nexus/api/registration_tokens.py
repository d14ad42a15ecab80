"""Where admins make, see and revoke registration tokens over HTTP."""

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor
from nexus.api.paging import Page, Paged, page_of
from nexus.domain.principal import Principal
from nexus.services import registration_tokens as tokens
from nexus.services.registration_tokens import CreateToken
from nexus.services.resources import RegistrationToken
from nexus.services.secrets import hash_registration_token, make_registration_token
from nexus.store.tx import Tx

router = APIRouter(
    prefix="/observer/registration-tokens", tags=["registration"], route_class=JsonRoute
)


@router.post("", status_code=201, response_model=RegistrationToken)
async def create_registration_token(door: AdminDoor, wish: CreateToken) -> Response:
    """Make a token with which agents ask to join a group; it is shown here and never again."""
    text = make_registration_token()
    hashed = hash_registration_token(text, door.platform.pepper)

    def create(tx: Tx, caller: Principal) -> RegistrationToken:
        return tokens.create(tx, caller, wish, hashed).model_copy(update={"token": text})

    return await door.post(create, status=201, location="/observer/registration-tokens/{id}")


@router.get("", response_model=Page[RegistrationToken])
async def list_registration_tokens(door: AdminDoor, paging: Paged) -> Response:
    """List the tokens, without what was shown once, oldest first."""

    def find(tx: Tx, caller: Principal) -> Page[RegistrationToken]:
        rows = tokens.list_all(tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor)
        return page_of(
            rows, paging.limit, lambda shown: [tokens.view(row, tx.now) for row in shown]
        )

    return answer(await door.read(find))


@router.delete("/{token_id}", status_code=204)
async def revoke_registration_token(door: AdminDoor, token_id: str) -> Response:
    """Let nobody else in with a token; who asked already still waits for the decision."""
    await door.write(lambda tx, caller: tokens.revoke(tx, caller, token_id))
    return empty()
