"""The commands for secrets of tools, and for the key that seals them."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from command_line import CommandLine, ServerProcess

VALUE = "sesame-open-please"


@pytest.fixture
def local(tmp_path: Path) -> CommandLine:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return CommandLine(environment={"NEXUS_DATA_DIR": str(data)}, cwd=tmp_path)


def sealed(data: Path) -> dict[str, tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(data / "nexus.db")) as database:
        found = database.execute("SELECT name, key_id, sealed FROM tool_secrets").fetchall()
    return {name: (key, text) for name, key, text in found}


def test_secrets_are_set_listed_and_removed_and_never_shown(nexus: CommandLine) -> None:
    made = nexus("secrets", "set", "github", stdin=f"{VALUE}\r\n")
    assert (made.code, VALUE in made.out + made.err) == (0, False), made.err
    listed = nexus("secrets", "list", "--json")
    (one,) = listed.json["items"]
    assert (one["name"], one["setBy"]) == ("github", "admin")
    assert VALUE not in listed.out + nexus("audit", "list", "--json").out
    assert nexus("secrets", "remove", "github").code == 0
    assert nexus("secrets", "list", "--json").json["items"] == []
    gone = nexus("secrets", "remove", "github")
    assert (gone.code, gone.err) == (1, "nexus: there is no secret github\n")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("github", "brief", "must have 8 to 16384 characters"),
        ("github", "", "must have 8 to 16384 characters"),
        ("a b", VALUE, "must be letters, digits"),
        ("github", b"\xff" * 9, "standard input is not UTF-8 text"),
    ],
    ids=["short", "empty", "name", "bytes"],
)
def test_what_is_no_secret_is_refused_in_one_line(
    nexus: CommandLine, name: str, value: str | bytes, said: str
) -> None:
    refused = nexus("secrets", "set", name, stdin=value)
    assert refused.code != 0
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert not value or str(value) not in refused.err


def test_a_value_is_no_argument(nexus: CommandLine) -> None:
    refused = nexus("secrets", "set", "github", VALUE)
    assert refused.code == 2


def test_a_new_key_seals_all_anew_while_nexus_runs(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    try:
        server.start()
        nexus = CommandLine(environment=server.environment, cwd=tmp_path)
        nexus("secrets", "set", "first", stdin=VALUE)
        before, key = sealed(server.data_dir), (server.data_dir / "secrets.key").read_text()
        rotated = nexus("secrets", "rotate")
        assert rotated.code == 0, rotated.err
        assert "seals 1 secrets from now on" in rotated.out
        after, fresh = sealed(server.data_dir), (server.data_dir / "secrets.key").read_text()
        assert before["first"][0] != after["first"][0]
        assert before["first"][1] != after["first"][1]
        assert (len(fresh.split()), key.strip() in fresh) == (1, False)
        assert fresh.strip() not in rotated.out + rotated.err
        assert (server.data_dir / "secrets.key").stat().st_mode & 0o777 == 0o600
        assert nexus("secrets", "set", "second", stdin=VALUE).code == 0
        assert {key for key, _ in sealed(server.data_dir).values()} == {after["first"][0]}
        (act,) = nexus("audit", "list", "--action", "rotate_secrets_key", "--json").json["items"]
        assert (act["actor"], act["details"]) == ("nexus secrets rotate", {"resealed": 1})
        assert nexus("audit", "verify").code == 0
    finally:
        server.close()


def test_a_rotation_that_died_is_done_again(tmp_path: Path) -> None:
    """Whatever is kept at any moment of a rotation opens what is stored."""
    server = ServerProcess(tmp_path / "data")
    try:
        server.start()
        nexus = CommandLine(environment=server.environment, cwd=tmp_path)
        nexus("secrets", "set", "first", stdin=VALUE)
        path = server.data_dir / "secrets.key"
        path.write_text("ab" * 32 + "\n" + path.read_text())  # died before it sealed anything
        assert nexus("secrets", "rotate").code == 0
        assert len(path.read_text().split()) == 1
        path.write_text("cd" * 32 + "\n")  # another installation's
        refused = nexus("secrets", "rotate")
        assert refused.code == 1
        assert "the secret first cannot be opened" in refused.err
        assert path.read_text().split()[-1] == "cd" * 32
    finally:
        server.close()


def test_a_key_is_everywhere_before_it_seals(tmp_path: Path) -> None:
    """The next key is prepared, copied to the other nodes, and only then seals."""
    server = ServerProcess(tmp_path / "data")
    try:
        server.start()
        nexus = CommandLine(environment=server.environment, cwd=tmp_path)
        nothing = nexus("secrets", "rotate", "--prepare")
        assert (nothing.code, "nothing to prepare" in nothing.err) == (2, True)
        nexus("secrets", "set", "first", stdin=VALUE)
        path = server.data_dir / "secrets.key"
        old, before = path.read_text().strip(), sealed(server.data_dir)
        prepared = nexus("secrets", "rotate", "--prepare", "--json").json["key"]
        assert nexus("secrets", "rotate", "--prepare", "--json").json["key"] == prepared
        copied = path.read_text().split()
        assert (copied[0], len(copied), sealed(server.data_dir)) == (old, 2, before)
        assert nexus("secrets", "rotate", "--json").json == {"key": prepared, "secrets": 1}
        assert path.read_text().split() == copied[1:]
    finally:
        server.close()


def test_the_doctor_opens_every_secret_with_the_keys_at_hand(nexus: CommandLine) -> None:
    doctor = ("doctor", "--json")
    assert "tool secrets" not in {one["check"] for one in nexus(*doctor).json["items"]}
    nexus("secrets", "set", "github", stdin=VALUE)
    (found,) = [one for one in nexus(*doctor).json["items"] if one["check"] == "tool secrets"]
    assert (found["status"], found["found"]) == ("ok", "the keys here open all 1")
    path = Path(nexus.environment["NEXUS_DATA_DIR"]) / "secrets.key"
    kept = path.read_text()
    for wrong, said in (
        ("ab" * 32, "the secret github cannot be opened: it was sealed with the key"),
        ("?", "secrets.key is damaged"),
    ):
        path.write_text(wrong)
        examined = nexus(*doctor)
        (found,) = [one for one in examined.json["items"] if one["check"] == "tool secrets"]
        assert (examined.code, found["status"], said in found["found"]) == (1, "fail", True)
        assert "copy secrets.key" in found["fix"]
        assert VALUE not in examined.out
    path.write_text(kept)


def test_there_is_a_first_key_before_there_is_a_secret(local: CommandLine, tmp_path: Path) -> None:
    assert "seals 0 secrets" in local("secrets", "rotate").out
    assert len((tmp_path / "data" / "secrets.key").read_text().split()) == 1
    nowhere = local("secrets", "rotate", "--data-dir", "/nowhere/at/all")
    assert (nowhere.code, "there is no data folder" in nowhere.err) == (2, True)
