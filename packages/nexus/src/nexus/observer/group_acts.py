"""Where people act on groups and projects from the pages; each is named as the API's operation."""

from starlette.responses import Response

from nexus.observer.visit import Visit
from nexus.services import groups, projects
from nexus.services.groups import AddMember, CreateGroup, EditGroup
from nexus.services.projects import CreateProject, EditProject


async def create_group(visit: Visit) -> Response:
    """Make a group, once however often its form is sent."""
    wish = visit.wish(CreateGroup)
    made = await visit.once(lambda tx, caller: groups.create(tx, caller, wish))
    return visit.go(f"/ui/groups/{made['id']}", "group-made")


async def edit_group(visit: Visit) -> Response:
    """Change a group's name and description to what the form says."""
    group_id = visit.names["group_id"]
    wish = EditGroup(name=visit.form.get("name", ""), description=visit.form.get("description", ""))
    await visit.write(lambda tx, caller: groups.edit(tx, caller, group_id, wish))
    return visit.go(f"/ui/groups/{group_id}", "changed")


async def archive_group(visit: Visit) -> Response:
    """Archive a group; nothing is deleted."""
    group_id = visit.names["group_id"]
    await visit.write(lambda tx, caller: groups.archive(tx, caller, group_id))
    return visit.go(f"/ui/groups/{group_id}", "archived")


async def add_member(visit: Visit) -> Response:
    """Let an agent join a group, by its id or client id; a member already gets the role."""
    group_id, wish = visit.names["group_id"], visit.wish(AddMember)
    await visit.write(lambda tx, caller: groups.add_member(tx, caller, group_id, wish))
    return visit.go(f"/ui/groups/{group_id}", "joined")


async def remove_member(visit: Visit) -> Response:
    """Take an agent out of a group; what it holds it may finish."""
    group_id, agent_id = visit.names["group_id"], visit.names["agent_id"]
    await visit.write(lambda tx, caller: groups.remove_member(tx, caller, group_id, agent_id))
    return visit.go(f"/ui/groups/{group_id}", "removed")


async def create_project(visit: Visit) -> Response:
    """Make a project, once however often its form is sent."""
    wish = visit.wish(CreateProject)
    made = await visit.once(lambda tx, caller: projects.create(tx, caller, wish))
    return visit.go(f"/ui/projects/{made['id']}", "project-made")


async def edit_project(visit: Visit) -> Response:
    """Change a project to what the form says; a new policy holds from the next task on."""
    project_id = visit.names["project_id"]
    said = {name: visit.form.get(name, "") for name in ("name", "description", "dispatch_policy")}
    tag = visit.form.get("oblivion_tag", "").strip() or None
    wish = EditProject.model_validate({**said, "oblivion_tag": tag})
    await visit.write(lambda tx, caller: projects.edit(tx, caller, project_id, wish))
    return visit.go(f"/ui/projects/{project_id}", "changed")


async def archive_project(visit: Visit) -> Response:
    """Archive a project; its waiting tasks stay, and are no longer handed out."""
    project_id = visit.names["project_id"]
    await visit.write(lambda tx, caller: projects.archive(tx, caller, project_id))
    return visit.go(f"/ui/projects/{project_id}", "archived")
