"""The commands for signing keys and lost admin secrets, on the data themselves."""

import contextlib
import json
import sqlite3
from pathlib import Path

import httpx2
import pytest

from command_line import CommandLine, ServerProcess
from nexus.audit_anchor import read_anchors
from nexus.keys import load_signing_keys


@pytest.fixture
def local(tmp_path: Path) -> CommandLine:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return CommandLine(environment={"NEXUS_DATA_DIR": str(data)}, cwd=tmp_path)


def test_a_new_key_signs_and_the_one_before_still_verifies(
    local: CommandLine, tmp_path: Path
) -> None:
    (first,) = local("keys", "list", "--json").json["items"]
    assert first["state"] == "signs"
    rotated = local("keys", "rotate")
    assert rotated.code == 0, rotated.err
    new, old = local("keys", "list", "--json").json["items"]
    assert (new["state"], old["state"], old["id"]) == ("signs", "verifies", first["id"])
    path = tmp_path / "data" / "signing.key"
    assert path.stat().st_mode & 0o777 == 0o600
    for key in load_signing_keys(tmp_path / "data").keys:
        assert key.secret.hex() not in rotated.out + rotated.err


def test_a_key_that_waits_signs_when_its_time_has_come(local: CommandLine) -> None:
    local("keys", "list")
    local("keys", "rotate", "--after", "600")
    states = [key["state"] for key in local("keys", "list", "--json").json["items"]]
    assert states == ["waits", "signs"]


def test_a_key_that_was_stolen_is_forgotten_at_once(local: CommandLine) -> None:
    (first,) = local("keys", "list", "--json").json["items"]
    local("keys", "rotate", "--void")
    (only,) = local("keys", "list", "--json").json["items"]
    assert only["id"] != first["id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rotate", "--void", "--after", "5"), "leave out --after"),
        (("list", "--data-dir", "/nowhere/at/all"), "there is no data folder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    local: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    done = local("keys", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_where_the_environment_has_the_key_it_is_changed_there(local: CommandLine) -> None:
    done = local("keys", "rotate", JWT_SECRET="0123456789abcdef" * 4)
    assert (done.code, done.out) == (2, "")
    assert "NEXUS_JWT_SECRET" in done.err


def test_a_damaged_file_of_keys_is_named(local: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "data" / "signing.key").write_text("not a key\n")
    done = local("keys", "rotate")
    assert (done.code, done.out) == (2, "")
    assert "signing.key is damaged" in done.err
    assert (tmp_path / "data" / "signing.key").read_text() == "not a key\n"


def test_a_lost_admin_secret_is_replaced_while_nexus_runs(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    try:
        server.start()
        nexus = CommandLine(environment=server.environment, cwd=tmp_path)
        before = nexus("groups", "list")
        assert before.code == 0, before.err
        made = nexus("admin", "reset-secret", "--json")
        assert made.code == 0, made.err
        wish = {"client_id": "admin", "client_secret": made.json["clientSecret"]}
        assert httpx2.post(f"{server.url}/auth/token", json=wish).is_success
        assert nexus("groups", "list").code == 0  # from the data folder, where it is kept
        entries = nexus("audit", "list", "--action", "reset_admin_secret", "--json").json["items"]
        assert [entry["target"] for entry in entries] == ["admin"]
        assert nexus("audit", "verify").code == 0
    finally:
        server.close()


def test_every_tenants_log_keeps_that_the_keys_were_rotated(
    local: CommandLine, tmp_path: Path
) -> None:
    for slug in ("acme", "blue"):
        assert local("tenants", "create", slug).code == 0
    told = {"void": False, "afterSeconds": 600}
    assert local("keys", "rotate", "--after", "600").code == 0
    (newest, _) = load_signing_keys(tmp_path / "data").keys

    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "nexus.db")) as kept:
        rows = kept.execute(
            "SELECT tenants.slug, actor, role, target, details FROM audit"
            " JOIN tenants ON tenants.id = tenant_id WHERE action = 'rotate_signing_keys'"
        ).fetchall()
    assert {row[0] for row in rows} == {"default", "acme", "blue"}
    assert {row[1:4] for row in rows} == {("nexus keys rotate", "installation", newest.id)}
    assert [json.loads(row[4]) for row in rows] == [told] * 3
    whole = local("audit", "verify", "--json")
    assert (whole.code, {item["entries"] for item in whole.json["items"]}) == (0, {1, 2})
    assert len(read_anchors(tmp_path / "data")) == 3


def test_a_rotation_that_cannot_be_kept_does_not_happen(local: CommandLine, tmp_path: Path) -> None:
    assert local("tenants", "create", "acme").code == 0
    before = local("keys", "list", "--json").json
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "nexus.db")) as kept:
        kept.execute("UPDATE alembic_version SET version_num = '9999'")
        kept.commit()
    done = local("keys", "rotate", "--void")
    assert (done.code, done.out) == (2, "")
    assert "newer Nexus" in done.err
    assert local("keys", "list", "--json").json == before


def test_only_an_admin_there_is_gets_a_new_secret(local: CommandLine) -> None:
    done = local("admin", "reset-secret", "nobody")
    assert (done.code, done.out) == (1, "")
    assert "no admin" in done.err


def test_a_secret_that_the_environment_sets_is_changed_there(local: CommandLine) -> None:
    done = local("admin", "reset-secret", NEXUS_ADMIN_CLIENT_SECRET="a chosen secret")
    assert done.code == 2
    assert "change it there" in done.err
