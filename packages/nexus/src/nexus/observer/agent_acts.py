"""Where people act on agents from the pages; each function is named as the API's operation."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer.task_acts import words
from nexus.observer.visit import Visit
from nexus.services import agents, approval, groups, revocations, rotation, stops
from nexus.services.agents import CreateAgent, EditAgent, Wake
from nexus.services.approval import Reject
from nexus.services.groups import AddMember
from nexus.services.resources import Agent
from nexus.services.rotation import RotatedSecret, RotateSecret
from nexus.services.secrets import hash_secret, make_secret
from nexus.services.stops import Reason
from nexus.store.tx import Tx


async def create_agent(visit: Visit) -> Response:
    """Make an agent, once however often its form is sent, and show its secret this one time."""
    said = {
        name: visit.form[name]
        for name in ("name", "client_id", "description", "email")
        if visit.form.get(name, "").strip()
    }
    chosen = [visit.form["group_id"]] if visit.form.get("group_id") else []
    wish = CreateAgent.model_validate(
        {**said, "capabilities": words(visit.form.get("capabilities", "")), "group_ids": chosen}
    )
    secret = make_secret()
    hashed = hash_secret(secret, visit.house.platform.pepper)

    def create(tx: Tx, caller: Principal) -> Agent:
        made = agents.create(tx, caller, wish, hashed)
        return made.model_copy(update={"client_secret": secret})

    return _secret(visit, await visit.once(create))


def _secret(visit: Visit, made: dict[str, Any], *, rotated: bool = False) -> Response:
    """Show a new secret; a form that came again is shown where the agent is, without one."""
    if made.get("clientSecret") is None:
        return visit.go(f"/ui/agents/{made['id']}", "shown-before")
    return visit.page("secret.html", 201, made=made, rotated=rotated)


async def rotate_secret(visit: Visit) -> Response:
    """Give an agent a new secret and show it this one time."""
    agent_id = visit.names["agent_id"]
    overlap = visit.form.get("overlap_seconds", "")
    wish = RotateSecret(overlap_seconds=int(overlap)) if overlap.isdigit() else RotateSecret()
    secret = make_secret()
    hashed = hash_secret(secret, visit.house.platform.pepper)

    def rotate(tx: Tx, caller: Principal) -> RotatedSecret:
        done = rotation.rotate(tx, caller, agent_id, wish, hashed)
        return done.model_copy(update={"client_secret": secret})

    return _secret(visit, await visit.once(rotate), rotated=True)


async def edit_agent(visit: Visit) -> Response:
    """Change an agent's profile to what the form says."""
    said = {name: visit.form.get(name, "") for name in ("name", "description")}
    email = visit.form.get("email", "").strip() or None
    listed = words(visit.form.get("capabilities", ""))
    wish = EditAgent.model_validate({**said, "email": email, "capabilities": listed})
    return await _act(visit, lambda tx, by, name: agents.edit(tx, by, name, wish), "changed")


async def approve_agent(visit: Visit) -> Response:
    """Let an agent in."""
    return await _act(visit, approval.approve, "approved")


async def reject_agent(visit: Visit) -> Response:
    """Do not let an agent in; it is told the reason."""
    wish = Reject(reason=visit.form.get("reason"))
    return await _act(visit, lambda tx, by, name: approval.reject(tx, by, name, wish), "rejected")


async def wake_agent(visit: Visit) -> Response:
    """Call for an agent's attention."""
    wish = Wake(message=visit.form.get("message"))
    return await _act(visit, lambda tx, by, name: agents.wake(tx, by, name, wish), "woken")


async def disconnect_agent(visit: Visit) -> Response:
    """End an agent's session; it may come back."""
    return await _act(visit, agents.disconnect, "disconnected")


async def log_out_agent(visit: Visit) -> Response:
    """End an agent's session and make its tokens void; its secret gets it new ones."""
    return await _act(visit, revocations.log_out, "logged-out")


async def ban_agent(visit: Visit) -> Response:
    """Shut an agent out; what it holds goes to others."""
    reason = Reason(reason=visit.form.get("reason")).reason
    return await _act(visit, lambda tx, by, name: stops.ban(tx, by, name, reason), "banned")


async def unban_agent(visit: Visit) -> Response:
    """Let a banned agent in again."""
    return await _act(visit, stops.unban, "unbanned")


async def add_member(visit: Visit) -> Response:
    """Let the agent join a group; a member already gets the role."""
    group_id, role = visit.form.get("group_id", ""), visit.form.get("role", "member")

    def join(tx: Tx, caller: Principal, agent_id: str) -> object:
        wish = AddMember(agent_id=agent_id, role=role)
        return groups.add_member(tx, caller, group_id, wish)

    return await _act(visit, join, "joined")


async def remove_member(visit: Visit) -> Response:
    """Take the agent out of a group; what it holds it may finish."""
    group_id = visit.names["group_id"]
    return await _act(
        visit, lambda tx, by, name: groups.remove_member(tx, by, group_id, name), "removed"
    )


async def _act(visit: Visit, act: Callable[[Tx, Principal, str], object], said: str) -> Response:
    agent_id = visit.names["agent_id"]
    await visit.write(lambda tx, caller: act(tx, caller, agent_id))
    return visit.back(f"/ui/agents/{agent_id}", said)
