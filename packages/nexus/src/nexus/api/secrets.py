"""Where the secrets of tools are reached over HTTP: set, listed by name, removed; never shown."""

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor
from nexus.api.paging import Page
from nexus.services import vault
from nexus.services.resources import KeptSecret
from nexus.services.vault import SetSecret

router = APIRouter(prefix="/observer/secrets", tags=["tools"], route_class=JsonRoute)


@router.get("", response_model=Page[KeptSecret])
async def list_secrets(door: AdminDoor) -> Response:
    """List the names of the secrets that tools may be given, and who set them."""
    found = await door.read(lambda tx, caller: vault.listing(tx, caller.tenant_id))
    return answer(Page(items=found))


@router.post("", response_model=KeptSecret)
async def set_secret(door: AdminDoor, wish: SetSecret) -> Response:
    """Keep a secret under its name, in the place of one that is there; it is never shown again."""
    sealing = door.platform.sealing
    return await door.post(lambda tx, caller: vault.put(tx, sealing, caller, wish))


@router.delete("/{name}", status_code=204)
async def remove_secret(door: AdminDoor, name: str) -> Response:
    """Forget a secret; tools that name it cannot be used until it is set anew."""
    await door.write(lambda tx, caller: vault.remove(tx, caller, name))
    return empty()
