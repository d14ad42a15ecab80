"""Starting and stopping a server from the command line, and what can be in the way."""

import contextlib
import socket
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from command_line import CommandLine, ServerProcess


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of this test's own, not started."""
    process = ServerProcess(tmp_path / "own")
    yield process
    process.close()


def test_a_first_start_shows_the_admins_secret_once(own_server: ServerProcess) -> None:
    own_server.start()
    assert own_server.running is not None
    first = "".join(own_server.running.out)
    kept = own_server.data_dir / "admin-credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    databases = list(own_server.data_dir.glob("nexus.db*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in databases} == {0o600}
    nexus = CommandLine(environment=own_server.environment)
    assert nexus("groups", "list").code == 0
    assert own_server.stop().code == 0
    own_server.start()
    second = "".join(own_server.running.out)
    assert "admin client secret  obv_" in first
    assert "obv_" not in second
    assert nexus("groups", "list").code == 0


def test_ctrl_c_stops_the_server_cleanly(own_server: ServerProcess) -> None:
    own_server.start()
    assert httpx2.get(f"{own_server.url}/livez").is_success
    assert own_server.running is not None
    ended = own_server.running.interrupt()
    assert ended.code == 0
    assert "Traceback" not in ended.err


def test_a_chosen_admin_secret_is_not_shown(own_server: ServerProcess) -> None:
    own_server.extra = {"NEXUS_ADMIN_CLIENT_SECRET": "chosen-by-the-operator"}
    own_server.start()
    assert own_server.running is not None
    assert "chosen-by-the-operator" not in "".join(own_server.running.out + own_server.running.err)
    nexus = CommandLine(environment={"NEXUS_URL": own_server.url, **own_server.extra})
    assert nexus("groups", "list").code == 0


def test_a_second_server_on_the_same_data_is_refused(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    own_server.start()
    data = str(own_server.data_dir)

    second = CommandLine(cwd=tmp_path).process("serve", "--port", "0", "--data-dir", data)

    assert (second.code, second.out) == (2, "")
    assert "is in use by a Nexus that runs" in second.err
    assert second.err.count("\n") == 1
    assert httpx2.get(f"{own_server.url}/readyz").is_success


def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = CommandLine().process("serve", "--port", port, "--data-dir", str(tmp_path / "d"))
    assert ended.code == 2
    assert f"port {port}" in ended.err
    assert "--port" in ended.err
    assert ended.err.count("\n") == 1


def test_a_data_folder_that_cannot_be_made_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = CommandLine()("serve", "--port", "0", "--data-dir", str(tmp_path / "file" / "data"))
    assert (ended.code, ended.out) == (2, "")
    assert "--data-dir" in ended.err
    assert ended.err.count("\n") == 1


def test_data_of_a_newer_nexus_are_refused_and_left_alone(tmp_path: Path) -> None:
    make_newer(tmp_path)
    for command in ("serve", "migrate"):
        ended = CommandLine()(command, "--data-dir", str(tmp_path), NEXUS_PORT="0")
        assert (ended.code, ended.out) == (2, "")
        assert "newer Nexus (schema 9999" in ended.err
        assert ended.err.count("\n") == 1


def test_a_file_that_is_no_database_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "nexus.db").write_bytes(b"no database" * 1000)
    ended = CommandLine()("migrate", "--data-dir", str(tmp_path))
    assert ended.code == 2
    assert "nexus.db is not usable as a database" in ended.err


@pytest.mark.parametrize(
    ("variable", "value"), [("NEXUS_PORT", "many"), ("NEXUS_LEASE_SECONDS", "-1")]
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    ended = CommandLine()("serve", **{variable: value})
    assert (ended.code, ended.out) == (2, "")
    assert variable.removeprefix("NEXUS_").lower() in ended.err.lower()


def test_migrate_makes_the_schema_and_then_finds_nothing_to_do(tmp_path: Path) -> None:
    nexus, folder = CommandLine(), str(tmp_path / "data")
    check = nexus("migrate", "--check", "--data-dir", folder)
    assert check.code == 1
    assert "run `nexus migrate`" in check.err
    assert not (tmp_path / "data").exists()
    first = nexus("migrate", "--json", "--data-dir", folder).json
    assert first["before"] is None
    second = nexus("migrate", "--data-dir", folder)
    assert second.out == f"{tmp_path / 'data' / 'nexus.db'} is up to date ({first['after']})\n"
    assert nexus("migrate", "--check", "--data-dir", folder).code == 0


def make_newer(folder: Path) -> None:
    """Make a database that a later version wrote."""
    assert CommandLine()("migrate", "--data-dir", str(folder)).code == 0
    with contextlib.closing(sqlite3.connect(folder / "nexus.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
