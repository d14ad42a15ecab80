"""Where people make, see, change and wake agents over HTTP."""

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, ViewerDoor
from nexus.api.hashing import Hashing
from nexus.api.paging import Page, Paged, Paging, page_of
from nexus.domain.principal import Principal
from nexus.services import agents
from nexus.services.agents import CreateAgent, EditAgent, Wake
from nexus.services.resources import Agent
from nexus.services.secrets import hash_secret, make_secret
from nexus.store.tx import Tx
from oblivion.protocol import Acknowledged

router = APIRouter(prefix="/observer/agents", tags=["agents"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=Agent)
async def create_agent(door: AdminDoor, hashers: Hashing, wish: CreateAgent) -> Response:
    """Make an agent, approved at once; a secret that Nexus makes is shown here and never again."""
    chosen = wish.client_secret
    secret = make_secret() if chosen is None else chosen.get_secret_value()
    hashed = await hashers.run(hash_secret, secret, door.platform.pepper)

    def create(tx: Tx, caller: Principal) -> Agent:
        agent = agents.create(tx, caller, wish, hashed)
        return agent.model_copy(update={"client_secret": secret}) if chosen is None else agent

    return await door.post(create, status=201, location="/observer/agents/{id}")


@router.get("", response_model=Page[Agent])
async def list_agents(door: ViewerDoor, paging: Paged) -> Response:
    """List the agents with their connections, oldest first."""
    return answer(await door.read(lambda tx, caller: _list(tx, caller, paging)))


def _list(tx: Tx, caller: Principal, paging: Paging) -> Page[Agent]:
    rows = agents.list_all(tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor)
    return page_of(rows, paging.limit, lambda shown: agents.present(tx, shown))


@router.get("/{agent_id}", response_model=Agent)
async def show_agent(door: ViewerDoor, agent_id: str) -> Response:
    """Show an agent, by its id or client id."""
    return answer(await door.read(lambda tx, caller: agents.show(tx, caller.tenant_id, agent_id)))


@router.patch("/{agent_id}", response_model=Agent)
async def edit_agent(door: AdminDoor, agent_id: str, wish: EditAgent) -> Response:
    """Change an agent's profile."""
    return answer(await door.write(lambda tx, caller: agents.edit(tx, caller, agent_id, wish)))


@router.post("/{agent_id}/wake", response_model=Acknowledged)
async def wake_agent(door: AdminDoor, agent_id: str, wish: Wake | None = None) -> Response:
    """Call for an agent's attention; it hears of it when it is connected, now or later."""

    def wake(tx: Tx, caller: Principal) -> Acknowledged:
        agents.wake(tx, caller, agent_id, wish or Wake())
        return Acknowledged()

    return await door.post(wake)
