"""Where the commands live that show who did what, and whether the log of it is whole."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output, note
from nexus.cli.session import JsonOption, LimitOption, Session, calls_api

if TYPE_CHECKING:
    from nexus.domain.audit_chain import End
    from nexus.services.audit import Verdict
    from nexus.settings import Settings

app = typer.Typer(help="See who did what, and whether the log is whole.", no_args_is_help=True)

COLUMNS: Columns = {
    "NO": cells.field("seq"),
    "WHEN": cells.moment("at"),
    "WHO": cells.field("actor"),
    "FROM": cells.field("address"),
    "WHAT": cells.field("action"),
    "TO": cells.field("target"),
    "DETAILS": cells.compact("details"),
}
VERDICTS: Columns = {
    "TENANT": cells.field("tenant"),
    "ENTRIES": cells.field("entries"),
    "WHOLE": cells.field("whole"),
    "END": cells.field("end"),
}


@app.command("list", epilog="Example: nexus audit list --actor admin --limit 20")
@calls_api
def list_(
    session: Session,
    limit: LimitOption = 50,
    actor: Annotated[str | None, typer.Option(help="By whom, a client id.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done, e.g. ban_agent.")] = None,
    target: Annotated[str | None, typer.Option(help="To what, an id.")] = None,
) -> None:
    """List who did what to what, when and from where, newest first."""
    found = session.nexus.listing(
        "/observer/audit", limit=limit, actor=actor, action=action, target=target
    )
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command(epilog="Example: nexus audit verify --expect default:42:5f3c...")
def verify(
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="An END that an earlier run has shown; may be repeated."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="After a restored backup: take what is there for the truth from now on.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find out whether anybody changed, removed, moved or cut off entries of the audit log.

    It works on the data folder, or on the PostgreSQL of NEXUS_DATABASE_URL with the keys of the
    data folder. The exit code is 1 if the log is not whole.
    """
    settings = load(config=config, data_dir=data_dir)
    with one_line_errors():
        found = verdicts(settings, expect or [])
        if accept:
            _accept(settings, found)
    problems = [problem for verdict in found for problem in problems_of(verdict)]
    Output(json=json).listing([_row(verdict) for verdict in found], VERDICTS, ok=not problems)
    if problems and not accept:
        for problem in problems:
            note(f"nexus: {problem}")
        raise Failed(f"the audit log is not whole: {len(problems)} finding(s)")


def _row(verdict: "Verdict") -> dict[str, Any]:
    end = verdict.end
    return {
        "tenant": verdict.slug,
        "entries": end.seq,
        "whole": not verdict.findings,
        "end": f"{verdict.slug}:{end.seq}:{end.seal}" if end.seq else None,
        "findings": problems_of(verdict),
    }


def problems_of(verdict: "Verdict") -> list[str]:
    """Say what is wrong with a chain, a line each."""
    return [f"{verdict.slug}: entry {found.seq} {found.problem}" for found in verdict.findings]


def verdicts(
    settings: "Settings", expected: Sequence[str] = (), newest: int | None = None
) -> list["Verdict"]:
    """Look at every chain, or at its ``newest`` entries alone.

    Raises:
        Failed: the schema is an older one.
        StoreError: database, pepper or anchor cannot be used.
        BadUsage: what is expected has not the form of an END.
    """
    from nexus.audit_anchor import read_anchors
    from nexus.domain.audit_chain import audit_key
    from nexus.services import audit
    from nexus.store import DataDirError, Tx, open_database
    from nexus.store.clock import wall_clock

    try:
        key = audit_key(_pepper(settings))
    except FileNotFoundError as error:
        raise DataDirError(f"there is no {error.filename}; give --data-dir") from error
    with contextlib.closing(open_database(settings.database)) as database:
        database.refuse_newer()
        if database.version() != database.newest_version():
            raise Failed("the schema is not this version's; run `nexus migrate` first")
        with database.reader.begin() as connection:
            tx = Tx(connection, wall_clock())
            anchors = [*read_anchors(settings.data_dir).values(), *_ends(tx, expected)]
            return list(audit.verify(tx, key, anchors, newest))


def _pepper(settings: "Settings") -> bytes:
    from nexus.keys import read_pepper

    return read_pepper(settings.data_dir / "pepper.key")


def _ends(tx: Any, expected: Sequence[str]) -> Iterator["End"]:
    """Yield what was noted elsewhere, in the form that `verify` shows."""
    from nexus.domain.audit_chain import End
    from nexus.services import tenants

    for text in expected:
        slug, _, rest = text.partition(":")
        seq, _, seal = rest.partition(":")
        if not seq.isdigit() or not seal:
            raise BadUsage(f"{text!r} is no END; it looks like default:42:5f3c...")
        yield End(tenant_id=tenants.id_of(tx, slug), seq=int(seq), seal=seal)


def _accept(settings: "Settings", verdicts: Sequence["Verdict"]) -> None:
    from nexus.audit_anchor import write_anchors

    write_anchors(
        settings.data_dir, {each.tenant_id: each.end for each in verdicts if each.end.seq}
    )
