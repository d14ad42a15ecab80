"""Where agents are made, shown, changed, woken and disconnected by people."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import sqlalchemy as sa
from pydantic import Field, SecretStr, StringConstraints

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal, Role
from nexus.services import activity, events, groups, leases, sessions, tasks, views
from nexus.services.command import Capabilities, ClientId, Command, Edit, Line, Ref, Text
from nexus.services.resources import Agent
from nexus.store import schema
from nexus.store.ids import new_id
from nexus.store.schema import agents, clients, group_members
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    HELD_STATUSES,
    ApprovalStatus,
    ConnectionStatus,
    EventType,
    GroupRef,
    WakeUpPayload,
)

_PROFILE = {"name", "client_id", "description", "email", "capabilities"}
_TAKEN = frozenset({"pending", "approve"})
"""What stands in the place of a client id in addresses."""

WakeReason = Annotated[str, StringConstraints(pattern="^(mention|scheduled|manual|retry)$")]


class NewAgent(Command):
    """Who an agent is; without a secret Nexus makes one."""

    name: Line
    client_id: ClientId
    client_secret: SecretStr | None = Field(default=None, min_length=8, max_length=256)
    description: Text = ""
    email: Line | None = None
    capabilities: Capabilities = Field(default_factory=list)


class CreateAgent(NewAgent):
    """A new agent, approved at once."""

    group_ids: list[Ref] = Field(default_factory=list, max_length=64)


class EditAgent(Edit):
    """What may change of an agent."""

    may_be_empty: ClassVar = frozenset({"email"})

    name: Line | None = None
    description: Text | None = None
    email: Line | None = None
    capabilities: Capabilities | None = None


class Wake(Command):
    """A call for an agent's attention."""

    task_id: Ref | None = None
    reason: WakeReason = "manual"
    message: Text | None = None


def by_id(tx: Tx, agent_id: str) -> Row:
    """Return an agent whatever its tenant; for callers that already know it may be seen."""
    agent = tx.one(agents.select().where(agents.c.id == agent_id))
    if agent is None:
        raise NotFound(f"there is no agent {agent_id}")
    return agent


def row(tx: Tx, tenant_id: str, agent_id: str) -> Row:
    """Return one of the tenant's agents, by id or client id.

    Raises:
        NotFound: there is none.
    """
    named = (agents.c.id == agent_id) | (agents.c.client_id == agent_id)
    agent = tx.one(agents.select().where(agents.c.tenant_id == tenant_id, named).limit(1))
    if agent is None:
        raise NotFound(f"there is no agent {agent_id}")
    return agent


def create(tx: Tx, caller: Principal, wish: CreateAgent, secret_hash: str) -> Agent:
    """Make an agent and its client in the groups it is to join.

    Raises:
        Conflict: the client id is taken.
        NotFound: one of the groups does not exist.
    """
    agent_id = enroll(tx, caller.tenant_id, wish, secret_hash, ApprovalStatus.APPROVED)
    for group_id in wish.group_ids:
        groups.join(tx, groups.row(tx, caller.tenant_id, group_id)["id"], agent_id)
    activity.record(
        tx,
        caller.tenant_id,
        "agent_created",
        agent_id=agent_id,
        name=wish.name,
        by=caller.client_id,
    )
    return show(tx, caller.tenant_id, agent_id)


def enroll(tx: Tx, tenant_id: str, wish: NewAgent, secret_hash: str, status: ApprovalStatus) -> str:
    """Make an agent and its client, and return the agent's id.

    Raises:
        Conflict: the client id is taken.
    """
    if is_taken(tx, wish.client_id):
        raise Conflict(taken(wish.client_id))
    agent_id = new_id()
    tx.insert(
        agents,
        {
            **wish.model_dump(include=_PROFILE),
            "id": agent_id,
            "tenant_id": tenant_id,
            "approval_status": status,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    tx.insert(
        clients,
        {
            "client_id": wish.client_id,
            "tenant_id": tenant_id,
            "role": Role.AGENT,
            "agent_id": agent_id,
            "secret_hash": secret_hash,
            "created_at": tx.now,
        },
    )
    return agent_id


def is_taken(tx: Tx, client_id: str) -> bool:
    """Say whether a client id is another client's, or means something in addresses."""
    named = clients.select().where(clients.c.client_id == client_id)
    return client_id in _TAKEN or tx.one(named) is not None


def taken(client_id: str) -> str:
    """Return what to say to whoever chose a client id that is taken."""
    return f"the client id {client_id!r} is taken; choose another one"


def show(tx: Tx, tenant_id: str, agent_id: str) -> Agent:
    """Return an agent with its connection, its groups and what it holds."""
    return present(tx, [row(tx, tenant_id, agent_id)])[0]


def list_all(tx: Tx, tenant_id: str, *, limit: int, cursor: str | None) -> Sequence[Row]:
    """Return the tenant's agents, oldest first; one more than ``limit`` when there are more."""
    query = agents.select().where(agents.c.tenant_id == tenant_id)
    if cursor is not None:
        query = query.where(agents.c.id > cursor)
    return tx.rows(query.order_by(agents.c.id).limit(limit + 1))


def present(tx: Tx, rows: Sequence[Row]) -> list[Agent]:
    """Return agents as HTTP shows them."""
    ids = [agent["id"] for agent in rows]
    live = {
        session["agent_id"]: session
        for session in tx.rows(schema.sessions.select().where(schema.sessions.c.agent_id.in_(ids)))
    }
    undecided = [row["id"] for row in rows if row["approval_status"] == ApprovalStatus.PENDING]
    teams, held, wished = _teams(tx, ids), _held(tx, ids), wished_groups(tx, undecided)
    shown = [
        _view(agent, live.get(agent["id"]), teams[agent["id"]], held[agent["id"]]) for agent in rows
    ]
    return [agent.model_copy(update={"pending_group": wished.get(agent.id)}) for agent in shown]


def wished_groups(tx: Tx, agent_ids: Sequence[str]) -> dict[str, GroupRef]:
    """Return the groups that agents asked to join, by the agents' ids."""
    if not agent_ids:
        return {}
    wishes = schema.registrations
    found = tx.rows(
        sa.select(wishes.c.agent_id, schema.groups)
        .join_from(wishes, schema.groups)
        .where(wishes.c.agent_id.in_(agent_ids))
    )
    return {wish["agent_id"]: _group_ref(wish) for wish in found}


def _group_ref(found: Row) -> GroupRef:
    return GroupRef(id=found["id"], slug=found["slug"], name=found["name"])


def _teams(tx: Tx, agent_ids: Sequence[str]) -> dict[str, list[GroupRef]]:
    teams: dict[str, list[GroupRef]] = {agent_id: [] for agent_id in agent_ids}
    memberships = tx.rows(
        sa.select(group_members.c.agent_id, schema.groups)
        .join_from(group_members, schema.groups)
        .where(group_members.c.agent_id.in_(agent_ids))
        .order_by(schema.groups.c.slug)
    )
    for found in memberships:
        teams[found["agent_id"]].append(_group_ref(found))
    return teams


def _held(tx: Tx, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {agent_id: [] for agent_id in agent_ids}
    tasks_held = tx.rows(
        sa.select(schema.tasks.c.holder_agent_id, schema.tasks.c.id).where(
            schema.tasks.c.holder_agent_id.in_(agent_ids), schema.tasks.c.status.in_(HELD_STATUSES)
        )
    )
    for found in tasks_held:
        held[found["holder_agent_id"]].append(found["id"])
    return held


def _view(agent: Row, session: Row | None, teams: list[GroupRef], task_ids: list[str]) -> Agent:
    connected = session is not None and session["closed_at"] is None
    return Agent(
        id=agent["id"],
        client_id=agent["client_id"],
        name=agent["name"],
        description=agent["description"],
        email=agent["email"],
        capabilities=sorted(
            {*agent["capabilities"], *(session["capabilities"] if session else ())}
        ),
        groups=teams,
        approval_status=agent["approval_status"],
        rejection_reason=agent["rejection_reason"],
        is_banned=agent["disabled_at"] is not None,
        is_connected=connected,
        connection_status=_connection_status(session) if connected else ConnectionStatus.OFFLINE,
        status_message=session["status_message"] if session else None,
        last_seen_at=views.moment_or_none(session["last_seen_at"]) if session else None,
        version=session["version"] if session else None,
        max_concurrency=session["max_concurrency"] if session else None,
        current_task_ids=task_ids,
        created_at=views.moment(agent["created_at"]),
        updated_at=views.moment(agent["updated_at"]),
    )


def _connection_status(session: Row | None) -> ConnectionStatus:
    status = session["status"] if session is not None else None
    return ConnectionStatus.CONNECTED if status is None else ConnectionStatus(status)


def edit(tx: Tx, caller: Principal, agent_id: str, wish: EditAgent) -> Agent:
    """Change an agent's profile."""
    agent = row(tx, caller.tenant_id, agent_id)
    values = {**wish.changes(), "updated_at": tx.now}
    tx.change(agents.update().where(agents.c.id == agent["id"]).values(values))
    activity.record(tx, caller.tenant_id, "agent_edited", agent_id=agent["id"], by=caller.client_id)
    tx.wake(leases.DISPATCH)
    return show(tx, caller.tenant_id, agent["id"])


def wake(tx: Tx, caller: Principal, agent_id: str, wish: Wake) -> None:
    """Send the agent a durable ``wake_up``.

    Raises:
        NotFound: no such agent or task.
    """
    agent = row(tx, caller.tenant_id, agent_id)
    about = events.NOTHING
    if wish.task_id is not None:
        about = events.of_task(tasks.find(tx, caller, wish.task_id))
    payload = WakeUpPayload(
        reason=wish.reason,
        task_id=about.task_id,
        triggered_by=caller.client_id,
        message=wish.message,
    )
    events.tell(tx, agent["id"], EventType.WAKE_UP, payload, about)
    activity.record(
        tx,
        caller.tenant_id,
        "agent_woken",
        agent_id=agent["id"],
        reason=wish.reason,
        message=wish.message,
        by=caller.client_id,
    )


def disconnect(tx: Tx, caller: Principal, agent_id: str) -> bool:
    """End the agent's session, if it has one; it may connect again."""
    agent = row(tx, caller.tenant_id, agent_id)
    return sessions.close_current(tx, agent["id"], f"disconnected by {caller.client_id}")


def counts(tx: Tx, tenant_id: str) -> tuple[int, int]:
    """Return how many agents the tenant has, and how many are connected."""
    mine = agents.c.tenant_id == tenant_id
    total = tx.scalar(sa.select(sa.func.count()).select_from(agents).where(mine))
    online = tx.scalar(
        sa.select(sa.func.count())
        .select_from(agents.join(schema.sessions))
        .where(mine, schema.sessions.c.closed_at.is_(None))
    )
    return total, online


def names(tx: Tx, agent_ids: Sequence[str]) -> dict[str, str]:
    """Return the names of agents by their ids; for callers that know these may be seen."""
    if not agent_ids:
        return {}
    found = tx.rows(sa.select(agents.c.id, agents.c.name).where(agents.c.id.in_(agent_ids)))
    return {agent["id"]: agent["name"] for agent in found}
