"""Where agents are found among thousands: by words, by how they stand, by group and capability."""

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa
from pydantic import Field

from nexus.services.command import Command
from nexus.store.schema import activity, agents, group_members, sessions, tasks
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus

_LATELY = 20_000
"""So many entries of the feed are looked through for what happened to one agent."""


class Standing(StrEnum):
    """How an agent stands, as people ask for it."""

    ONLINE = "online"
    WORKING = "working"
    ERROR = "error"
    OFFLINE = "offline"
    PENDING = "pending"
    REJECTED = "rejected"
    BANNED = "banned"


class AgentFilter(Command):
    """Which agents to list; ``cursor`` continues below the agent with that id."""

    text: str | None = Field(default=None, max_length=200)
    """Stands in the name, client id or description, in small letters or capitals."""
    standing: Standing | None = None
    group_id: str | None = None
    capability: str | None = Field(default=None, max_length=64)
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


_approved = agents.c.approval_status == ApprovalStatus.APPROVED
_free = agents.c.disabled_at.is_(None)
_open = sessions.c.closed_at.is_(None) & sessions.c.id.is_not(None)

_STANDS: dict[Standing, sa.ColumnElement[bool]] = {
    Standing.ONLINE: _open,
    Standing.WORKING: _open & (sessions.c.status == "working"),
    Standing.ERROR: _open & (sessions.c.status == "error"),
    Standing.OFFLINE: _approved & _free & ~_open,
    Standing.PENDING: agents.c.approval_status == ApprovalStatus.PENDING,
    Standing.REJECTED: agents.c.approval_status == ApprovalStatus.REJECTED,
    Standing.BANNED: agents.c.disabled_at.is_not(None),
}


def search(tx: Tx, tenant_id: str, wanted: AgentFilter) -> Sequence[Row]:
    """Return the tenant's agents, newest first; one more than the limit when there are more."""
    query = (
        sa.select(agents)
        .outerjoin_from(agents, sessions, sessions.c.agent_id == agents.c.id)
        .where(agents.c.tenant_id == tenant_id, *_conditions(wanted))
    )
    return tx.rows(query.order_by(agents.c.id.desc()).limit(wanted.limit + 1))


def _conditions(wanted: AgentFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.text is not None:
        named = (agents.c.name, agents.c.client_id, agents.c.description)
        found.append(sa.or_(*(name.icontains(wanted.text, autoescape=True) for name in named)))
    if wanted.standing is not None:
        found.append(_STANDS[wanted.standing])
    if wanted.group_id is not None:
        inside = sa.select(group_members.c.agent_id)
        found.append(agents.c.id.in_(inside.where(group_members.c.group_id == wanted.group_id)))
    if wanted.capability is not None:
        found.append(_can(wanted.capability))
    if wanted.cursor is not None:
        found.append(agents.c.id < wanted.cursor)
    return found


def _can(capability: str) -> sa.ColumnElement[bool]:
    """Find a word in the lists of what an agent can, kept as JSON."""
    kept = (agents.c.capabilities, sessions.c.capabilities)
    lists = [sa.type_coerce(column, sa.Text) for column in kept]
    return sa.or_(*(words.contains(f'"{capability}"', autoescape=True) for words in lists))


def titles(tx: Tx, task_ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of tasks by their ids; for callers that know these may be seen."""
    found = tx.rows(sa.select(tasks.c.id, tasks.c.title).where(tasks.c.id.in_(task_ids)))
    return {task["id"]: task["title"] for task in found}


def named(tx: Tx, agent_ids: Sequence[str]) -> list[Row]:
    """Return agents in the order of their ids here; for callers that know these may be seen."""
    found = {row["id"]: row for row in tx.rows(agents.select().where(agents.c.id.in_(agent_ids)))}
    return [found[agent_id] for agent_id in agent_ids]


def roles(tx: Tx, agent_id: str) -> dict[str, str]:
    """Return the roles that an agent has, by the ids of its groups."""
    found = tx.rows(group_members.select().where(group_members.c.agent_id == agent_id))
    return {member["group_id"]: member["role"] for member in found}


def history(tx: Tx, agent_id: str, *, limit: int) -> list[Row]:
    """Return what happened to an agent lately, newest first; of no more than the feed's newest.

    For callers that know it may be seen.
    """
    newest: int = tx.scalar(sa.select(sa.func.coalesce(sa.func.max(activity.c.id), 0)))
    late = activity.c.id > newest - _LATELY
    mine = activity.select().where(activity.c.agent_id == agent_id, late)
    return list(tx.rows(mine.order_by(activity.c.id.desc()).limit(limit)))
