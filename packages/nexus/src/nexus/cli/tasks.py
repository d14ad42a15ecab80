"""Where the commands live that make, show and steer tasks, and speak in their threads."""

import json as jsonlib
from typing import Annotated, Any

import typer
from rich.text import Text

from nexus.cli import cells, task_import
from nexus.cli.addresses import segment
from nexus.cli.errors import BadUsage
from nexus.cli.names import AgentNames
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api, text_or_stdin
from nexus.cli.task_page import print_task

app = typer.Typer(help="Make, show and steer tasks.", no_args_is_help=True)
app.command("import", epilog=task_import.EXAMPLES)(task_import.import_)

TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="Its id, or the id its source gave it.")
]
_LONGEST_THREAD = 10_000


def _columns(names: AgentNames) -> Columns:
    return {
        "ID": cells.field("id"),
        "STATUS": cells.coloured("status"),
        "PRIORITY": cells.priority,
        "PROJECT": cells.field("projectName"),
        "AGENT": lambda task: Text(names.of(task.get("claimedByAgentId"))),
        "TITLE": cells.field("title"),
    }


@app.command(epilog="Example: nexus tasks create 'Fix the login' --project web --priority 1")
@calls_api
def create(  # noqa: PLR0913, PLR0917 - each is an option
    session: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is to be done, in a line.")],
    project: Annotated[str, typer.Option(help="Its project, by slug or id.")],
    description: Annotated[
        str, typer.Option(help="All there is to know; - reads it from standard input.")
    ] = "",
    priority: Annotated[
        int, typer.Option(min=1, max=4, help="1 urgent, 2 high, 3 normal, 4 low.")
    ] = 3,
    capability: Annotated[
        list[str] | None, typer.Option(help="What its agent must be able to do; may be repeated.")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(min=1, help="After how many failures it has failed, else 3.")
    ] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="How many seconds an attempt may take.")
    ] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object to go with it.")] = None,
) -> None:
    """Make a task."""
    body = {
        "projectId": project,
        "title": title,
        "description": text_or_stdin(description),
        "priority": priority,
        "requiredCapabilities": capability or [],
        "maxAttempts": max_attempts,
        "timeoutSeconds": timeout,
        "metadata": None if metadata is None else _json_object(metadata),
    }
    given = {name: value for name, value in body.items() if value is not None}
    task = session.nexus.post("/observer/tasks", given)
    session.out.done(f"{task['id']}  {task['title']}", task)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = jsonlib.loads(text)
    except ValueError as error:
        raise BadUsage(f"--metadata is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadUsage('--metadata must be a JSON object, such as {"branch": "main"}')
    return value


@app.command("list")
@calls_api
def list_(
    session: Session,
    status: Annotated[
        str | None, typer.Option(help="Only those that stand so, e.g. todo or in-progress.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those that this agent has.")] = None,
    limit: LimitOption = 50,
) -> None:
    """List tasks, newest first."""
    found = session.nexus.listing(
        "/observer/tasks",
        limit=limit,
        status=status and status.upper().replace("-", "_"),
        projectId=project,
        agentId=agent,
    )
    columns = _columns(AgentNames(session.nexus))
    session.out.listing(found.items, columns, hasMore=found.has_more)


@app.command()
@calls_api
def show(session: Session, task: TaskArgument) -> None:
    """Show a task, its thread and its result."""
    path = f"/tasks/{segment(task)}"
    found = session.nexus.get(path)
    thread = _thread(session, f"/tasks/{segment(found['id'])}/slack-thread")
    if session.out.json:
        session.out.done("", {**found, "thread": thread})
    else:
        print_task(found, thread, AgentNames(session.nexus).of(found.get("claimedByAgentId")))


def _thread(session: Session, path: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    cursor = None
    while len(messages) < _LONGEST_THREAD:
        page = session.nexus.get(path, limit=200, cursor=cursor)
        messages += page["messages"]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    return messages


@app.command()
@calls_api
def cancel(
    session: Session,
    task: TaskArgument,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """End a task for good; an agent that works on it is told to stop."""
    body = {"reason": reason} if reason is not None else {}
    after = session.nexus.post(f"/observer/tasks/{segment(task)}/cancel", body)
    session.out.done(f"{after['id']} is {after['status']}", after)


@app.command()
@calls_api
def retry(session: Session, task: TaskArgument) -> None:
    """Give a task that failed or was cancelled a fresh set of attempts."""
    after = session.nexus.post(f"/observer/tasks/{segment(task)}/retry")
    session.out.done(f"{after['id']} is {after['status']}", after)


@app.command(epilog="Example: nexus tasks say 0198... 'Use the staging database' --author Ada")
@calls_api
def say(
    session: Session,
    task: TaskArgument,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What to say; - reads it from standard input.")
    ],
    author: Annotated[
        str | None, typer.Option(help="The name to speak under; else the client id.")
    ] = None,
) -> None:
    """Speak in a task's thread as a person; the agent that has the task hears it."""
    body = {"text": text_or_stdin(text)} | ({"author": author} if author is not None else {})
    answer = session.nexus.post(f"/observer/tasks/{segment(task)}/messages", body)
    session.out.done("said", answer or {"ok": True})
