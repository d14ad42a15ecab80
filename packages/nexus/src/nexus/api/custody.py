"""Where people cut agents off over HTTP: disconnected, logged out, banned, stopped, rekeyed."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, Door, ViewerDoor
from nexus.domain.principal import Principal
from nexus.services import agents, revocations, rotation, stops
from nexus.services.resources import Agent
from nexus.services.rotation import RotatedSecret, RotateSecret
from nexus.services.secrets import hash_secret, make_secret
from nexus.services.stops import Halt, Reason
from nexus.store.tx import Tx

router = APIRouter(prefix="/observer", tags=["agents"], route_class=JsonRoute)

_OF_AGENT = "/agents/{agent_id}"


async def _done(door: Door, agent_id: str, act: Callable[[Tx, Principal], object]) -> Response:
    """Carry out ``act`` and answer with the agent as it is then."""

    def change(tx: Tx, caller: Principal) -> Agent:
        act(tx, caller)
        return agents.show(tx, caller.tenant_id, agent_id)

    return await door.post(change)


@router.post(_OF_AGENT + "/disconnect", response_model=Agent)
async def disconnect_agent(door: AdminDoor, agent_id: str) -> Response:
    """End an agent's session, if it has one; it may connect again."""
    return await _done(door, agent_id, lambda tx, by: agents.disconnect(tx, by, agent_id))


@router.post(_OF_AGENT + "/logout", response_model=Agent)
async def log_out_agent(door: AdminDoor, agent_id: str) -> Response:
    """Make all tokens of an agent void and end its session; its secret gets it new ones."""
    return await _done(door, agent_id, lambda tx, by: revocations.log_out(tx, by, agent_id))


@router.post(_OF_AGENT + "/ban", response_model=Agent)
async def ban_agent(door: AdminDoor, agent_id: str, wish: Reason | None = None) -> Response:
    """Shut an agent out until it is unbanned: what it holds goes to others at once."""
    reason = (wish or Reason()).reason
    return await _done(door, agent_id, lambda tx, by: stops.ban(tx, by, agent_id, reason))


@router.post(_OF_AGENT + "/unban", response_model=Agent)
async def unban_agent(door: AdminDoor, agent_id: str) -> Response:
    """Let a banned agent in again."""
    return await _done(door, agent_id, lambda tx, by: stops.unban(tx, by, agent_id))


@router.post(_OF_AGENT + "/rotate-secret", response_model=RotatedSecret)
async def rotate_secret(
    door: AdminDoor, agent_id: str, wish: RotateSecret | None = None
) -> Response:
    """Give an agent a new secret, shown here and never again; the old one is good for a while."""
    secret = make_secret()
    secret_hash = hash_secret(secret, door.platform.pepper)

    def rotate(tx: Tx, caller: Principal) -> RotatedSecret:
        done = rotation.rotate(tx, caller, agent_id, wish or RotateSecret(), secret_hash)
        return done.model_copy(update={"client_secret": secret})

    return await door.post(rotate)


@router.get("/stop-all", response_model=Halt)
async def show_halt(door: ViewerDoor) -> Response:
    """Say whether all agents are stopped, and since when."""
    return answer(await door.read(lambda tx, caller: stops.state(tx, caller.tenant_id)))


@router.post("/stop-all", response_model=Halt)
async def stop_all(door: AdminDoor, wish: Reason | None = None) -> Response:
    """Stop all agents until they are resumed; their tasks wait, and nothing is lost."""
    return await door.post(lambda tx, by: stops.stop_all(tx, by, (wish or Reason()).reason))


@router.post("/resume-all", response_model=Halt)
async def resume_all(door: AdminDoor) -> Response:
    """Let the agents in again after a stop; they come back by themselves."""
    return await door.post(stops.resume_all)
