"""Where the command `nexus migrate` lives."""

from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.errors import Failed
from nexus.cli.local import DataDirOption, load, one_line_errors
from nexus.cli.output import Output
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from nexus.settings import Settings


def migrate(
    data_dir: DataDirOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if there is work to do.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Bring the data to this version's schema.

    `nexus serve` does it too, when it starts.
    """
    settings = load(data_dir=data_dir)
    with one_line_errors():
        before, after = _migrate(settings, only_check=check)
    if check and before != after:
        raise Failed(f"the schema is at {before or 'nothing'}, not at {after}; run `nexus migrate`")
    changed = f"migrated {settings.database_path} from {before or 'nothing'} to {after}"
    sentence = changed if before != after else f"{settings.database_path} is up to date ({after})"
    document = {"database": str(settings.database_path), "before": before, "after": after}
    Output(json=json).done(sentence, document)


def _migrate(settings: "Settings", *, only_check: bool) -> tuple[str | None, str]:
    """Return the schema's version before and after; with ``only_check``, what it would be after."""
    from nexus.store import SqliteDatabase
    from nexus.store.database import prepare_data_dir

    if only_check and not settings.database_path.exists():
        return None, SqliteDatabase.newest_version()
    prepare_data_dir(settings.data_dir)
    database = SqliteDatabase(settings.database_path)
    try:
        database.refuse_newer()
        before = database.version()
        return before, SqliteDatabase.newest_version() if only_check else database.migrate()
    finally:
        database.close()
