"""Where groups and their members live."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal
from nexus.services import activity, leases, views
from nexus.services.command import Command, Edit, Line, MemberRole, Ref, Slug, Text
from nexus.services.resources import Group, Member
from nexus.store.ids import new_id
from nexus.store.schema import agents, group_members, groups
from nexus.store.tx import Row, Tx


class CreateGroup(Command):
    """A new team."""

    name: Line
    slug: Slug
    description: Text = ""


class EditGroup(Edit):
    """What may change of a group."""

    name: Line | None = None
    description: Text | None = None


class AddMember(Command):
    """An agent joins a group."""

    agent_id: Ref
    role: MemberRole = "member"


def row(tx: Tx, tenant_id: str, group_id: str) -> Row:
    """Return one of the tenant's groups, by id or slug.

    Raises:
        NotFound: there is none.
    """
    found = tx.rows(
        groups.select().where(
            groups.c.tenant_id == tenant_id, (groups.c.id == group_id) | (groups.c.slug == group_id)
        )
    )
    if not found:
        raise NotFound(f"there is no group {group_id}")
    return min(found, key=lambda group: group["id"] != group_id)


def view(group: Row) -> Group:
    """Return a group as HTTP shows it."""
    return Group(
        id=group["id"],
        name=group["name"],
        slug=group["slug"],
        description=group["description"],
        archived_at=views.moment_or_none(group["archived_at"]),
        created_at=views.moment(group["created_at"]),
        updated_at=views.moment(group["updated_at"]),
    )


def create(tx: Tx, caller: Principal, wish: CreateGroup) -> Group:
    """Make a group.

    Raises:
        Conflict: the slug is taken.
    """
    taken = groups.select().where(
        groups.c.tenant_id == caller.tenant_id, groups.c.slug == wish.slug
    )
    if tx.one(taken) is not None:
        raise Conflict(f"the slug {wish.slug!r} is taken; choose another one")
    group_id = new_id()
    tx.insert(
        groups,
        {
            **wish.model_dump(),
            "id": group_id,
            "tenant_id": caller.tenant_id,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    activity.record(tx, caller.tenant_id, "group_created", name=wish.name, by=caller.client_id)
    return view(row(tx, caller.tenant_id, group_id))


def list_all(
    tx: Tx, tenant_id: str, *, limit: int, cursor: str | None, archived: bool = False
) -> Sequence[Row]:
    """Return the tenant's groups, oldest first; one more than ``limit`` when there are more."""
    query = groups.select().where(groups.c.tenant_id == tenant_id)
    if not archived:
        query = query.where(groups.c.archived_at.is_(None))
    if cursor is not None:
        query = query.where(groups.c.id > cursor)
    return tx.rows(query.order_by(groups.c.id).limit(limit + 1))


def edit(tx: Tx, caller: Principal, group_id: str, wish: EditGroup) -> Group:
    """Change a group's name or description."""
    group = row(tx, caller.tenant_id, group_id)
    values = {**wish.changes(), "updated_at": tx.now}
    tx.change(groups.update().where(groups.c.id == group["id"]).values(values))
    changed = row(tx, caller.tenant_id, group["id"])
    activity.record(tx, caller.tenant_id, "group_edited", name=changed["name"], by=caller.client_id)
    return view(changed)


def archive(tx: Tx, caller: Principal, group_id: str) -> None:
    """Close a group: its tasks are no longer handed out, nothing is deleted."""
    group = row(tx, caller.tenant_id, group_id)
    values = {"archived_at": tx.now, "updated_at": tx.now}
    tx.change(groups.update().where(groups.c.id == group["id"]).values(values))
    activity.record(tx, caller.tenant_id, "group_archived", name=group["name"], by=caller.client_id)


def members(tx: Tx, tenant_id: str, group_id: str, limit: int | None = None) -> list[Member]:
    """Return the agents of a group, or the first of them, in the order in which they joined."""
    group = row(tx, tenant_id, group_id)
    found = tx.rows(
        sa.select(group_members, agents.c.client_id, agents.c.name)
        .join_from(group_members, agents)
        .where(group_members.c.group_id == group["id"])
        .order_by(group_members.c.joined_at, agents.c.id)
        .limit(limit)
    )
    return [
        Member(
            agent_id=member["agent_id"],
            client_id=member["client_id"],
            name=member["name"],
            role=member["role"],
            joined_at=views.moment(member["joined_at"]),
        )
        for member in found
    ]


def add_member(tx: Tx, caller: Principal, group_id: str, wish: AddMember) -> Member:
    """Let an agent join; an agent that is a member already gets the role.

    Raises:
        NotFound: no such group or agent in the caller's tenant.
    """
    group = row(tx, caller.tenant_id, group_id)
    agent_id = _agent_id(tx, caller.tenant_id, wish.agent_id)
    join(tx, group["id"], agent_id, wish.role)
    _record_member(tx, caller, "group_joined", agent_id, group)
    found = members(tx, caller.tenant_id, group["id"])
    return next(member for member in found if member.agent_id == agent_id)


def _agent_id(tx: Tx, tenant_id: str, named: str) -> str:
    mine = (agents.c.id == named) | (agents.c.client_id == named)
    agent = tx.one(agents.select().where(agents.c.tenant_id == tenant_id, mine).limit(1))
    if agent is None:
        raise NotFound(f"there is no agent {named}")
    return str(agent["id"])


def join(tx: Tx, group_id: str, agent_id: str, role: str = "member") -> None:
    """Make the agent a member with this role, whatever it was before."""
    mine = (group_members.c.group_id == group_id) & (group_members.c.agent_id == agent_id)
    if not tx.change(group_members.update().where(mine).values(role=role)):
        values = {"group_id": group_id, "agent_id": agent_id, "role": role, "joined_at": tx.now}
        tx.insert(group_members, values)
    tx.wake(leases.DISPATCH)


def remove_member(tx: Tx, caller: Principal, group_id: str, agent_id: str) -> None:
    """Take an agent out of a group; what it holds it may finish.

    Raises:
        NotFound: no such group or agent, or the agent is no member.
    """
    group = row(tx, caller.tenant_id, group_id)
    own_id = _agent_id(tx, caller.tenant_id, agent_id)
    mine = (group_members.c.group_id == group["id"]) & (group_members.c.agent_id == own_id)
    if not tx.change(group_members.delete().where(mine)):
        raise NotFound(f"agent {agent_id} is no member of {group['name']}")
    _record_member(tx, caller, "group_left", own_id, group)


def _record_member(tx: Tx, caller: Principal, type_: str, agent_id: str, group: Row) -> None:
    about = {"agent_id": agent_id, "message": group["name"], "by": caller.client_id}
    activity.record(tx, caller.tenant_id, type_, **about)
