"""Where the command `nexus tasks import` lives: a whole file of tasks, each made exactly once."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli.addresses import segment
from nexus.cli.errors import BadUsage, CliError, Failed, Interrupted
from nexus.cli.output import console, note
from nexus.cli.session import Session, calls_api

if TYPE_CHECKING:
    from nexus.cli.client import Client
    from nexus.cli.importing import Format, PlannedTask

EXAMPLES = (
    "Example: nexus tasks import tasks.csv --project web\n\n"
    "Columns or fields: title, description, priority, requiredCapabilities, maxAttempts, "
    "timeoutSeconds, metadata (CSV also metadata.NAME), project."
)
_FORMATS = "json, ndjson or csv"
_SHOWN_MISTAKES = 20


@calls_api
def import_(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=f"A file in {_FORMATS}; - is standard input.")
    ],
    project: Annotated[
        str | None, typer.Option(help="The project of tasks that name none, by slug or id.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help=f"{_FORMATS}; else by the file's suffix.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check everything, send nothing.")] = False,
) -> None:
    """Make the tasks of a file.

    All of it is checked first. Run again within a day, the same file makes no task twice.
    """
    tasks = _planned(file, _format(file, format_), project)
    _check_projects(session.nexus, tasks)
    if check:
        says = f"{file} is good: {_number(len(tasks))}"
        session.out.done(says, {"checked": len(tasks), "imported": 0, "alreadyThere": 0})
        return
    made = _send(session.nexus, tasks)
    repeated = sum(entry.pop("repeated") for entry in made)
    says = f"imported {_number(len(made) - repeated)}"
    if repeated:
        says = f"{says}; there already: {repeated}"
    document = {"imported": len(made) - repeated, "alreadyThere": repeated, "items": made}
    session.out.done(says, document)


def _number(tasks: int) -> str:
    return f"{tasks} task{'' if tasks == 1 else 's'}"


def _format(file: Path, wanted: str | None) -> "Format":
    from nexus.cli.importing import SUFFIXES, Format

    try:
        return Format(wanted.lower()) if wanted is not None else SUFFIXES[file.suffix.lower()]
    except (ValueError, KeyError):
        raise BadUsage(f"in which format is {file}? say --format {_FORMATS}") from None


def _planned(file: Path, form: "Format", project: str | None) -> Sequence["PlannedTask"]:
    from nexus.cli.importing import make_plan

    try:
        plan = make_plan(_read(file), form, project)
    except BadUsage as error:
        raise BadUsage(f"{file}: {error}") from error
    for mistake in plan.mistakes[:_SHOWN_MISTAKES]:
        note(f"{file}:{mistake.line}: {' '.join(mistake.says.split())}")
    if plan.mistakes:
        raise BadUsage(f"{_mistakes(len(plan.mistakes))} in {file}; nothing was sent")
    if not plan.tasks:
        raise BadUsage(f"there is no task in {file}")
    return plan.tasks


def _mistakes(number: int) -> str:
    hidden = f", {_SHOWN_MISTAKES} of them shown" if number > _SHOWN_MISTAKES else ""
    return f"{number} mistake{'' if number == 1 else 's'}{hidden}"


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise BadUsage(f"cannot read it: {error.strerror}") from error


def _check_projects(nexus: "Client", tasks: Iterable["PlannedTask"]) -> None:
    """Ask for each project before any task is sent."""
    lines: dict[str, int] = {}
    for task in tasks:
        lines.setdefault(task.project_id, task.line)
    for project_id, line in lines.items():
        try:
            project = nexus.get(f"/projects/{segment(project_id)}")
        except (Failed, BadUsage) as error:
            raise type(error)(f"line {line}: {error}; nothing was sent") from error
        if project.get("archivedAt"):
            raise Failed(f"line {line}: the project {project_id} is archived; nothing was sent")


def _send(nexus: "Client", tasks: Sequence["PlannedTask"]) -> list[dict[str, Any]]:
    from rich.progress import Progress

    made: list[dict[str, Any]] = []
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        for task in progress.track(tasks, description="importing"):
            try:
                made.append(_make(nexus, task))
            except CliError as error:
                raise type(error)(f"line {task.line}: {error}; {_so_far(made, tasks)}") from error
            except KeyboardInterrupt:
                raise Interrupted(f"interrupted; {_so_far(made, tasks)}") from None
    return made


def _so_far(made: Sequence[Any], tasks: Sequence[Any]) -> str:
    return f"{len(made)} of {_number(len(tasks))} are in, run the same command again to go on"


def _make(nexus: "Client", task: "PlannedTask") -> dict[str, Any]:
    answer = nexus.send(nexus.post_request("/observer/tasks", task.body, key=task.key))
    repeated = answer.headers.get("Idempotency-Replayed") == "true"
    return {**answer.json(), "line": task.line, "repeated": repeated}
