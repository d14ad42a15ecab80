"""Where the command `nexus migrate` lives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli.errors import BadUsage, Failed
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Output
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from nexus.settings import Settings
    from nexus.store import Database


def migrate(
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if there is work to do.")
    ] = False,
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch",
            help="After a restored backup: have agents told that their events' numbers went back.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Bring the data to this version's schema.

    `nexus serve` does it too, when it starts. The data are in the data folder, or in the PostgreSQL
    of NEXUS_DATABASE_URL.
    """
    if check and new_epoch:
        raise BadUsage("--check changes nothing; leave out --new-epoch")
    settings = load(config=config, data_dir=data_dir)
    with one_line_errors():
        done = _migrate(settings, only_check=check, new_epoch=new_epoch)
    before, after = done.before, done.after
    if check and before != after:
        raise Failed(f"the schema is at {before or 'nothing'}, not at {after}; run `nexus migrate`")
    changed = f"migrated {done.database} from {before or 'nothing'} to {after}"
    sentence = changed if before != after else f"{done.database} is up to date ({after})"
    if done.epoch is not None:
        sentence += f"; a new epoch has begun ({done.epoch})"
    Output(json=json).done(sentence, dict(vars(done)))


@dataclass(frozen=True, kw_only=True)
class _Done:
    database: str
    before: str | None
    after: str
    epoch: str | None = None


def _migrate(settings: "Settings", *, only_check: bool, new_epoch: bool) -> _Done:
    """Migrate and say what the schema's version was; with ``only_check``, what it would become."""
    from nexus.store import Database, open_database
    from nexus.store.database import prepare_data_dir

    newest = Database.newest_version()
    embedded = settings.database_url is None
    if only_check and embedded and not settings.database_path.exists():
        return _Done(database=str(settings.database_path), before=None, after=newest)
    if embedded:
        prepare_data_dir(settings.data_dir)
    database = open_database(settings.database)
    try:
        database.refuse_newer()
        before = database.version()
        after = newest if only_check else database.migrate()
        epoch = _begin_epoch(database) if new_epoch else None
        return _Done(database=database.name, before=before, after=after, epoch=epoch)
    finally:
        database.close()


def _begin_epoch(database: "Database") -> str:
    from nexus.services.installation import begin_epoch
    from nexus.store import Tx
    from nexus.store.clock import wall_clock

    with database.writer.begin() as connection:
        return begin_epoch(Tx(connection, wall_clock()))
