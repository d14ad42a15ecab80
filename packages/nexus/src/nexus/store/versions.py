"""Where the versions of the schema live: which one is there, which one this code needs."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """Return the version that this code needs."""
    return _scripts().get_current_head() or ""


def is_known(version: str | None) -> bool:
    """Say whether this code knows the way from ``version``; None is an empty database."""
    return version is None or version in {script.revision for script in _scripts().walk_revisions()}


def found(connection: sa.Connection) -> str | None:
    """Return the version that is there; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: sa.Connection) -> None:
    """Bring the schema to the newest version."""
    config = _alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())
