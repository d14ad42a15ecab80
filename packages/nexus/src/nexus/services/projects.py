"""Where projects live."""

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal
from nexus.services import activity, groups, leases, views
from nexus.services.command import Command, Edit, Line, Ref, Slug, Tag, Text
from nexus.services.resources import Project
from nexus.store import schema
from nexus.store.ids import new_id
from nexus.store.schema import projects
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import DispatchPolicy


class CreateProject(Command):
    """A new scope of work within a group."""

    group_id: Ref
    name: Line
    slug: Slug
    description: Text = ""
    oblivion_tag: Tag | None = None
    dispatch_policy: DispatchPolicy = DispatchPolicy.ASSIGN


class EditProject(Edit):
    """What may change of a project."""

    may_be_empty: ClassVar = frozenset({"oblivion_tag"})

    name: Line | None = None
    description: Text | None = None
    oblivion_tag: Tag | None = None
    dispatch_policy: DispatchPolicy | None = None


def _select() -> sa.Select[Any]:
    return sa.select(projects, schema.groups.c.name.label("group_name")).join_from(
        projects, schema.groups
    )


_NAMED = Statement(
    _select().where(
        projects.c.tenant_id == sa.bindparam("tenant_id"),
        (projects.c.id == sa.bindparam("named")) | (projects.c.slug == sa.bindparam("named")),
    )
)


def row(tx: Tx, tenant_id: str, project_id: str) -> Row:
    """Return one of the tenant's projects, by id, or by slug where only one has it.

    Raises:
        NotFound: there is none.
        Conflict: several groups have a project of this slug.
    """
    found = tx.rows(_NAMED, tenant_id=tenant_id, named=project_id)
    exact = [project for project in found if project["id"] == project_id] or list(found)
    if not exact:
        raise NotFound(f"there is no project {project_id}")
    if len(exact) > 1:
        raise Conflict(f"several groups have a project {project_id!r}; use its id")
    return exact[0]


def view(project: Row) -> Project:
    """Return a project as HTTP shows it."""
    return Project(
        id=project["id"],
        group_id=project["group_id"],
        group_name=project["group_name"],
        name=project["name"],
        slug=project["slug"],
        description=project["description"],
        oblivion_tag=project["oblivion_tag"],
        dispatch_policy=project["dispatch_policy"],
        archived_at=views.moment_or_none(project["archived_at"]),
        created_at=views.moment(project["created_at"]),
        updated_at=views.moment(project["updated_at"]),
    )


def create(tx: Tx, caller: Principal, wish: CreateProject) -> Project:
    """Make a project.

    Raises:
        NotFound: no such group.
        Conflict: the slug is taken in the group, or the tag in the tenant.
    """
    group = groups.row(tx, caller.tenant_id, wish.group_id)
    if group["archived_at"] is not None:
        raise Conflict(f"group {group['name']} is archived; it takes no new projects")
    same_slug = (projects.c.group_id == group["id"]) & (projects.c.slug == wish.slug)
    if tx.one(projects.select().where(same_slug)) is not None:
        raise Conflict(f"group {group['name']} has a project {wish.slug!r} already")
    _refuse_taken_tag(tx, caller.tenant_id, wish.oblivion_tag, None)
    project_id = new_id()
    values = {
        **wish.model_dump(),
        "id": project_id,
        "tenant_id": caller.tenant_id,
        "group_id": group["id"],
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    tx.insert(projects, values)
    activity.record(tx, caller.tenant_id, "project_created", name=wish.name, by=caller.client_id)
    return view(row(tx, caller.tenant_id, project_id))


def _refuse_taken_tag(tx: Tx, tenant_id: str, tag: str | None, own_id: str | None) -> None:
    if tag is None:
        return
    taken = tx.one(
        projects.select().where(projects.c.tenant_id == tenant_id, projects.c.oblivion_tag == tag)
    )
    if taken is not None and taken["id"] != own_id:
        raise Conflict(f"the tag {tag!r} is taken by project {taken['name']}")


def list_all(
    tx: Tx, tenant_id: str, *, limit: int, cursor: str | None, group_id: str | None = None
) -> Sequence[Row]:
    """Return the tenant's open projects, oldest first; one over ``limit`` if there are more."""
    query = _select().where(projects.c.tenant_id == tenant_id, projects.c.archived_at.is_(None))
    if group_id is not None:
        query = query.where(projects.c.group_id == group_id)
    if cursor is not None:
        query = query.where(projects.c.id > cursor)
    return tx.rows(query.order_by(projects.c.id).limit(limit + 1))


def edit(tx: Tx, caller: Principal, project_id: str, wish: EditProject) -> Project:
    """Change a project; a new dispatch policy holds from the next task on.

    Raises:
        NotFound: no such project.
        Conflict: the tag is taken.
    """
    project = row(tx, caller.tenant_id, project_id)
    changes = wish.changes()
    _refuse_taken_tag(tx, caller.tenant_id, changes.get("oblivion_tag"), project["id"])
    values = {**changes, "updated_at": tx.now}
    tx.change(projects.update().where(projects.c.id == project["id"]).values(values))
    tx.wake(leases.DISPATCH)
    changed = row(tx, caller.tenant_id, project["id"])
    activity.record(
        tx, caller.tenant_id, "project_edited", name=changed["name"], by=caller.client_id
    )
    return view(changed)


def archive(tx: Tx, caller: Principal, project_id: str) -> None:
    """Close a project: its waiting tasks stay, but are no longer handed out."""
    project = row(tx, caller.tenant_id, project_id)
    values = {"archived_at": tx.now, "updated_at": tx.now}
    tx.change(projects.update().where(projects.c.id == project["id"]).values(values))
    activity.record(
        tx, caller.tenant_id, "project_archived", name=project["name"], by=caller.client_id
    )
