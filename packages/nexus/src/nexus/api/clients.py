"""Where admins make, see and shut out the clients of people over HTTP."""

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor
from nexus.api.hashing import Hashing
from nexus.api.paging import Page, Paged, Paging, page_of
from nexus.domain.principal import Principal
from nexus.services import clients
from nexus.services.clients import CreateClient
from nexus.services.resources import Client
from nexus.services.secrets import hash_secret, make_secret
from nexus.store.tx import Tx

router = APIRouter(prefix="/observer/clients", tags=["clients"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=Client)
async def create_client(door: AdminDoor, hashers: Hashing, wish: CreateClient) -> Response:
    """Make a client; a secret that Nexus makes is shown here and never again."""
    chosen = wish.client_secret
    secret = make_secret() if chosen is None else chosen.get_secret_value()
    hashed = await hashers.run(hash_secret, secret, door.platform.pepper)

    def create(tx: Tx, caller: Principal) -> Client:
        client = clients.create(tx, caller, wish, hashed)
        return client.model_copy(update={"client_secret": secret}) if chosen is None else client

    return await door.post(create, status=201)


@router.get("", response_model=Page[Client])
async def list_clients(door: AdminDoor, paging: Paged) -> Response:
    """List the clients of people, by their ids; those of agents are the agents'."""
    return answer(await door.read(lambda tx, caller: _list(tx, caller, paging)))


def _list(tx: Tx, caller: Principal, paging: Paging) -> Page[Client]:
    rows = clients.list_all(tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor)
    return page_of(rows, paging.limit, lambda shown: [clients.view(row) for row in shown])


@router.delete("/{client_id}", status_code=204)
async def disable_client(door: AdminDoor, client_id: str) -> Response:
    """Shut a client out, its tokens too."""
    await door.write(lambda tx, caller: clients.disable(tx, caller, client_id))
    return empty()
