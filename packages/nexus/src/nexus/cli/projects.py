"""Where the commands live that make projects and show how their work stands."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="Make projects and see how their work stands.", no_args_is_help=True)

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Its slug or id.")]


COLUMNS: Columns = {
    "SLUG": cells.field("slug"),
    "NAME": cells.field("name"),
    "GROUP": cells.field("groupName"),
    "POLICY": cells.field("dispatchPolicy"),
    "TAG": cells.field("oblivionTag"),
    "CREATED": cells.moment("createdAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "slug": cells.field("slug"),
    "name": cells.field("name"),
    "group": cells.field("groupName"),
    "policy": cells.field("dispatchPolicy"),
    "tag": cells.field("oblivionTag"),
    "description": cells.long_text("description"),
    "created": cells.moment("createdAt"),
    "archived": cells.moment("archivedAt"),
}


@app.command(epilog="Example: nexus projects create web --group core --policy claim")
@calls_api
def create(  # noqa: PLR0913, PLR0917 - each is an option
    session: Session,
    slug: Annotated[
        str, typer.Argument(metavar="SLUG", help="Its short name: a-z, 0-9 and dashes.")
    ],
    group: Annotated[str, typer.Option(help="The group whose agents do the work.")],
    name: Annotated[str | None, typer.Option(help="What people call it; else the slug.")] = None,
    description: Annotated[str, typer.Option(help="What it is about.")] = "",
    policy: Annotated[
        str, typer.Option(help="assign: Nexus hands tasks out; claim: agents take them.")
    ] = "assign",
    tag: Annotated[str | None, typer.Option(help="The word after @ that means it.")] = None,
) -> None:
    """Make a project."""
    body: dict[str, Any] = {
        "groupId": group,
        "slug": slug,
        "name": name or slug,
        "description": description,
        "dispatchPolicy": policy,
    }
    if tag is not None:
        body["oblivionTag"] = tag
    session.out.record(session.nexus.post("/projects", body), FIELDS)


@app.command("list")
@calls_api
def list_(
    session: Session,
    group: Annotated[str | None, typer.Option(help="Only those of this group.")] = None,
    limit: LimitOption = 50,
) -> None:
    """List the open projects, oldest first."""
    found = session.nexus.listing("/projects", limit=limit, groupId=group)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def show(session: Session, project: ProjectArgument) -> None:
    """Show a project."""
    session.out.record(session.nexus.get(f"/projects/{segment(project)}"), FIELDS)


@app.command()
@calls_api
def stats(session: Session, project: ProjectArgument) -> None:
    """Show how many of a project's tasks stand where."""
    found = session.nexus.get(f"/projects/{segment(project)}/stats")
    session.out.record(found, {name: _count(name) for name in _counts(found)})


def _counts(stats: Mapping[str, Any]) -> Mapping[str, Any]:
    tasks = stats.get("tasks")
    return tasks if isinstance(tasks, Mapping) else stats


def _count(name: str) -> cells.Cell:
    return lambda stats: Text(str(_counts(stats)[name]), justify="right")


@app.command()
@calls_api
def archive(session: Session, project: ProjectArgument) -> None:
    """Close a project: its waiting tasks stay, but are no longer handed out."""
    session.nexus.delete(f"/projects/{segment(project)}")
    session.out.done(f"archived {project}", {"ok": True})
