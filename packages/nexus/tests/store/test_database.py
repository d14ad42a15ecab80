"""Opening a data folder: what is refused, and with which words."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from nexus.store import DataDirError, SqliteDatabase, StoreError, open_database
from nexus.store.database import prepare_data_dir
from nexus.store.schema import metadata


def test_the_migrations_make_exactly_the_schema(database_url: str) -> None:
    database = open_database(database_url)
    database.migrate()
    with database.writer.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    database = open_database(database_url)
    assert database.migrate() == database.migrate() == database.newest_version()
    database.close()


def test_data_of_a_newer_nexus_is_refused(database_url: str) -> None:
    database = open_database(database_url)
    database.migrate()
    with database.writer.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer Nexus .*9999.*upgrade Nexus"):
        database.migrate()
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    path.write_bytes(b"this is no database at all" * 100)
    database = SqliteDatabase(path)
    with pytest.raises(DataDirError, match="not usable as a database"):
        database.migrate()
    database.close()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError, match="--data-dir"):
        prepare_data_dir(tmp_path / "file" / "data")


def test_a_data_folder_is_private_to_its_owner(tmp_path: Path) -> None:
    prepare_data_dir(tmp_path / "data")
    assert os.stat(tmp_path / "data").st_mode & 0o077 == 0  # noqa: PTH116 - mode bits
