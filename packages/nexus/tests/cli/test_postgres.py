"""The command line on a PostgreSQL: what it says when the address is wrong, and never says."""

from pathlib import Path

import httpx2
import pytest

from command_line import CommandLine, ServerProcess
from postgres_server import PostgresServer

NOWHERE = "postgresql://me:hidden@127.0.0.1:1/nexus"


def on(url: str, folder: Path) -> CommandLine:
    return CommandLine(environment={"NEXUS_DATABASE_URL": url}, cwd=folder)


@pytest.mark.parametrize("command", ["serve --port 0", "migrate"])
@pytest.mark.parametrize("url", [NOWHERE, "mysql://me:hidden@host/db", "postgresql://me:hidden@["])
def test_a_database_that_cannot_be_used_is_one_line_and_exit_code_2(
    tmp_path: Path, command: str, url: str
) -> None:
    ended = on(url, tmp_path)(*command.split())
    assert ended.code == 2
    assert ended.err.startswith("nexus: NEXUS_DATABASE_URL: ")
    assert ended.err.count("\n") == 1
    assert "hidden" not in ended.err + ended.out


def test_migrate_brings_a_database_up_to_date_and_begins_an_epoch_when_asked(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    nexus = on(postgres.fresh_database(), tmp_path)
    assert nexus("migrate", "--check").code == 1
    first = nexus("migrate", "--json")
    assert (first.json["before"], first.json["epoch"]) == (None, None)
    assert nexus("migrate", "--check").code == 0
    epochs = [nexus("migrate", "--new-epoch", "--json").json["epoch"] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert not (tmp_path / "nexus-data").exists()


def test_the_server_keeps_everything_in_the_database(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.fresh_database()
    server = ServerProcess(tmp_path / "data")
    server.extra = {"DATABASE_URL": url}
    try:
        server.start()
        assert server.running is not None
        assert f"postgresql://127.0.0.1:{postgres.port}/" in "".join(server.running.out)
        assert httpx2.get(f"{server.url}/readyz").is_success
        nexus = CommandLine(environment={**server.environment, "NEXUS_DATABASE_URL": url})
        assert nexus("groups", "create", "kept").code == 0
        found = nexus("doctor", "--json").json["items"]
        assert {item["check"]: item["status"] for item in found}["database"] == "ok"
        assert server.stop().code == 0
        assert nexus("keys", "rotate", "--void").code == 0
        server.start()
        assert "kept" in nexus("groups", "list").out
        assert not (tmp_path / "data" / "nexus.db").exists()
    finally:
        server.close()


def test_keys_of_another_installation_change_nothing_in_a_database(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    nexus = on(postgres.fresh_database(), tmp_path)
    assert nexus("tenants", "create", "acme").code == 0
    assert nexus("keys", "rotate").code == 0
    (entry,) = nexus("audit", "verify", "--json").json["items"][:1]
    other = ("--data-dir", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    for command in (("keys", "rotate"), ("admin", "reset-secret", "admin-acme")):
        refused = nexus(*command, *other)
        assert (refused.code, refused.out) == (2, "")
        assert "are not those of this database" in refused.err
    assert nexus("audit", "verify", "--json").json["items"][0] == entry


def test_the_doctor_says_what_is_wrong_with_the_database(tmp_path: Path) -> None:
    found = on(NOWHERE, tmp_path)("doctor", "--json")
    (database,) = [item for item in found.json["items"] if item["check"] == "database"]
    assert database["status"] == "fail"
    assert "NEXUS_DATABASE_URL" in database["fix"]
    assert "hidden" not in found.out + found.err
