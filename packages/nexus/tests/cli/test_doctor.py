"""What the doctor finds, and what it says to do."""

import contextlib
import shutil
import socket
import sqlite3
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from command_line import CommandLine, Outcome
from nexus import self_checks
from nexus.cli import checks
from scripted_peer import TOKEN, Answer, Request, peer


def statuses(outcome: Outcome) -> dict[str, str]:
    return {finding["check"]: finding["status"] for finding in outcome.json["items"]}


def finding(outcome: Outcome, check: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in outcome.json["items"] if item["check"] == check)
    return found


def test_a_healthy_server_passes_every_check(nexus: CommandLine) -> None:
    well = nexus("doctor", "--json")
    assert (well.code, well.json["ok"]) == (0, True)
    assert set(statuses(well).values()) == {"ok"}
    assert list(statuses(well)) == [
        *("python", "settings", "secrets", "data folder", "disk", "keys", "schema"),
        *("audit log", "server", "port", "clock", "credentials"),
    ]


def test_people_see_what_was_found(nexus: CommandLine) -> None:
    shown = nexus("doctor").out
    assert shown.splitlines()[0].split() == ["CHECK", "FOUND", "WHAT", "TO", "DO"]
    assert all(line.startswith("ok ") for line in shown.splitlines()[1:])


def test_before_the_first_start_only_the_server_is_missing(tmp_path: Path) -> None:
    url = free_url()
    found = CommandLine(cwd=tmp_path)("doctor", "--url", url, "--json")
    assert found.code == 1
    assert statuses(found) == {
        "python": "ok",
        "settings": "ok",
        "secrets": "ok",
        "data folder": "warn",
        "server": "fail",
        "port": "ok",
    }
    assert "nexus serve" in finding(found, "server")["fix"]
    assert found.err == "nexus: 1 of 6 checks failed\n"


def test_a_port_that_another_program_has_is_found(tmp_path: Path) -> None:
    def say(_: Request) -> Answer:
        return Answer(status=404, body=b"<html>not here</html>")

    with peer(say) as other:
        found = CommandLine(cwd=tmp_path)("doctor", "--url", other.url, "--json")
    assert found.code == 1
    assert "does not answer as Nexus does" in finding(found, "server")["found"]


def test_a_port_that_is_taken_but_silent_is_found(tmp_path: Path) -> None:
    with peer(lambda _: None) as silent:
        found = CommandLine(cwd=tmp_path)("doctor", "--url", silent.url, "--json")
    assert statuses(found)["port"] == "fail"
    assert "--port" in finding(found, "port")["fix"]


def test_wrong_credentials_are_found(nexus: CommandLine) -> None:
    found = nexus("doctor", "--client-secret", "wrong-and-hidden", "--json")
    assert statuses(found)["credentials"] == "fail"
    assert found.code == 1
    assert "wrong-and-hidden" not in found.out


def test_data_of_a_newer_nexus_are_found(tmp_path: Path) -> None:
    found = CommandLine()(
        "doctor", "--url", free_url(), "--data-dir", database(tmp_path, "9999"), "--json"
    )
    assert statuses(found)["schema"] == "fail"
    assert "newer Nexus" in finding(found, "schema")["found"]


@pytest.mark.parametrize(
    ("meddling", "said"),
    [
        ("UPDATE audit SET actor = 'somebody else'", "entry 1 is not what was written there"),
        ("DELETE FROM audit", "entry 1 is missing"),
    ],
)
def test_an_audit_log_that_somebody_changed_is_found(
    tmp_path: Path, meddling: str, said: str
) -> None:
    local = CommandLine(cwd=tmp_path)
    doctor = ("doctor", "--url", free_url(), "--json", "--data-dir", "data")
    assert local("tenants", "create", "acme", "--data-dir", "data").code == 0
    assert statuses(local(*doctor))["audit log"] == "ok"
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "nexus.db")) as kept:
        kept.execute(meddling)
        kept.commit()

    meddled = finding(local(*doctor), "audit log")

    assert (meddled["status"], meddled["found"]) == ("fail", f"acme: {said}")
    assert "nexus audit verify" in meddled["fix"]
    (tmp_path / "data" / "audit-anchor.json").write_text("?")
    assert "audit-anchor.json is damaged" in finding(local(*doctor), "audit log")["found"]


def test_an_empty_database_is_to_be_migrated(tmp_path: Path) -> None:
    (tmp_path / "nexus.db").touch()
    found = CommandLine()("doctor", "--url", free_url(), "--data-dir", str(tmp_path), "--json")
    assert statuses(found)["schema"] == "warn"
    assert "nexus migrate" in finding(found, "schema")["fix"]


def test_a_data_folder_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file")
    found = CommandLine()("doctor", "--url", free_url(), "--data-dir", folder, "--json")
    assert statuses(found)["data folder"] == "fail"


@pytest.mark.parametrize(("seconds", "status"), [(2, "ok"), (60, "warn"), (900, "fail")])
def test_clocks_that_are_apart_are_found(seconds: int, status: str) -> None:
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)
    assert checks.clock(httpx2.Response(200, headers={"Date": theirs})).status == status


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_a_server_that_tells_no_time_is_a_warning(headers: dict[str, str]) -> None:
    assert checks.clock(httpx2.Response(200, headers=headers)).status == "warn"


def test_a_server_that_is_not_ready_is_found_with_its_own_words() -> None:
    def say(request: Request) -> Answer:
        if request.path == "/auth/token":
            return TOKEN
        problem = {"code": "unavailable", "detail": "the schema is old; run nexus migrate"}
        return Answer(status=503, body=problem, headers={"Retry-After": "0"})

    with peer(say) as server:
        found = CommandLine()("doctor", "--url", server.url, "--client-secret", "x", "--json")
    assert "run nexus migrate" in finding(found, "server")["found"]


def test_a_database_that_another_program_holds_is_not_to_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.store.sqlite._PATIENCE_S", 0.1)
    folder = database(tmp_path, "9999")
    with contextlib.closing(sqlite3.connect(tmp_path / "nexus.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        found = CommandLine()("doctor", "--url", free_url(), "--data-dir", folder, "--json")
    held = finding(found, "schema")
    assert (held["status"], "locked" in held["found"]) == ("fail", True)
    assert "close the program" in held["fix"]
    assert "backup" not in held["fix"]


@pytest.mark.parametrize(
    ("mebibytes", "status"), [(1024, "ok"), (1023, "warn"), (32, "warn"), (31, "fail"), (0, "fail")]
)
def test_a_disk_with_little_room_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int, status: str
) -> None:
    room = shutil.disk_usage(tmp_path)._replace(free=mebibytes * 1024 * 1024)
    monkeypatch.setattr("nexus.self_checks.shutil.disk_usage", lambda _: room)
    (found,) = self_checks.disk(tmp_path)
    assert (found.status, found.found) == (status, f"{mebibytes:,} MiB free")
    assert list(self_checks.disk(tmp_path / "not there")) == []


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"status": "ready"}, None),
        ({"status": "ready", "refused": "database is locked"}, "close the program"),
        ({"status": "ready", "refused": "database or disk is full"}, "make room"),
    ],
)
def test_a_database_that_refuses_writes_is_found(body: dict[str, str], advice: str | None) -> None:
    found = [one.fix or "" for one in checks.refusals(httpx2.Response(200, json=body))]
    assert [fix.partition(" on ")[0].partition(" that ")[0] for fix in found] == (
        [] if advice is None else [advice]
    )
    assert list(checks.refusals(httpx2.Response(200, text="no JSON"))) == []


def test_an_old_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_checks, "OLDEST_PYTHON", (9, 9))
    assert self_checks.python().status == "fail"
    assert "9.9" in (self_checks.python().fix or "")


def free_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://localhost:{server.getsockname()[1]}"


def database(folder: Path, version: str) -> str:
    with contextlib.closing(sqlite3.connect(folder / "nexus.db")) as made, made:
        made.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        made.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    made.close()
    return str(folder)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "ready"}, []),
        ({"status": "ready", "slack": "connected"}, ["ok"]),
        ({"status": "ready", "slack": "trouble"}, ["warn"]),
    ],
)
def test_trouble_with_slack_is_found_where_there_is_a_slack(
    body: dict[str, str], status: list[str]
) -> None:
    assert [found.status for found in checks.slack(httpx2.Response(200, json=body))] == status
    assert list(checks.slack(httpx2.Response(200, text="no JSON"))) == []
