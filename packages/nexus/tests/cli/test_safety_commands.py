"""Tenants, clients of people, and the audit log, as an operator has them on the command line."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from command_line import CommandLine, Outcome, ServerProcess

STRONG = "a-secret-that-nobody-guesses"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose audit log no other test writes to."""
    process = ServerProcess(tmp_path_factory.mktemp("own") / "data")
    try:
        yield process.start()
    finally:
        process.close()


@pytest.fixture
def here(own_server: ServerProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(environment=own_server.environment, cwd=tmp_path)


def asked_as(here: CommandLine, made: Outcome, *arguments: str) -> Outcome:
    """Run a command with the credentials that another one has just shown."""
    shown = made.json
    return here(
        *arguments, "--client-id", shown["clientId"], "--client-secret", shown["clientSecret"]
    )


def test_a_tenant_is_made_while_the_server_runs_and_sees_nothing_of_others(
    here: CommandLine,
) -> None:
    assert here("groups", "create", "ours").code == 0
    made = here("tenants", "create", "acme", "--name", "Acme Ltd.", "--json")
    assert made.code == 0, made.err
    assert made.json["clientSecret"].startswith("obv_")

    assert asked_as(here, made, "groups", "create", "ours").code == 0
    listed = asked_as(here, made, "groups", "list", "--json")
    assert [group["name"] for group in listed.json["items"]] == ["ours"]
    assert len(listed.json["items"]) == 1
    tenants = here("tenants", "list", "--json").json["items"]
    assert {("default", "Default"), ("acme", "Acme Ltd.")} <= {
        (tenant["slug"], tenant["name"]) for tenant in tenants
    }
    (entry,) = asked_as(here, made, "audit", "list", "--json", "--action", "create_tenant").json[
        "items"
    ]
    assert (entry["role"], entry["seq"]) == ("installation", 1)
    assert made.json["clientSecret"] not in str(entry)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("default",), 1, "there is a tenant 'default' already"),
        (("new", "--admin", "admin"), 1, "the client id 'admin' is taken"),
        (("Not A Slug",), 2, "slug: must be lower-case letters"),
        (("../etc",), 2, "slug: must be lower-case letters"),
        (("x' OR 1=1 --",), 2, "slug: must be lower-case letters"),
        (("new", "--admin", "a b"), 2, "must be letters, digits"),
    ],
)
def test_a_tenant_that_cannot_be_is_refused_whole(
    here: CommandLine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = here("tenants", "list", "--json").out
    refused = here("tenants", "create", *arguments)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err
    assert here("tenants", "list", "--json").out == before


def test_a_tenant_may_be_made_before_the_first_start(tmp_path: Path) -> None:
    alone = CommandLine(cwd=tmp_path)
    made = alone("tenants", "create", "first", "--data-dir", "data", "--json")
    assert made.code == 0, made.err
    server = ServerProcess(tmp_path / "data")
    try:
        server.start()
        asked = asked_as(CommandLine(environment=server.environment), made, "groups", "list")
        assert asked.code == 0, asked.err
        slugs = alone("tenants", "list", "--data-dir", "data", "--json").json["items"]
        assert {tenant["slug"] for tenant in slugs} == {"default", "first"}
    finally:
        server.close()


def test_the_installations_own_acts_are_kept(here: CommandLine) -> None:
    (first,) = here("audit", "list", "--json", "--action", "set_admin_secret").json["items"]
    assert (first["seq"], first["actor"], first["target"]) == (1, "nexus serve", "admin")


def test_the_first_admin_may_not_have_another_tenants_client_id(tmp_path: Path) -> None:
    alone = CommandLine(cwd=tmp_path)
    assert alone("tenants", "create", "acme", "--admin", "theirs").code == 0
    refused = alone.process("serve", "--port", "0", NEXUS_ADMIN_CLIENT_ID="theirs")
    assert refused.code == 2
    assert refused.err == (
        "nexus: setting admin_client_id: the client id 'theirs' is taken; choose another one\n"
    )


def test_a_viewer_looks_and_changes_nothing_until_it_is_removed(here: CommandLine) -> None:
    made = here("clients", "create", "ann", "--json")
    assert (made.code, made.json["role"]) == (0, "viewer")

    assert asked_as(here, made, "groups", "list").code == 0
    assert "needs the role admin" in asked_as(here, made, "groups", "create", "x").err
    assert "needs the role admin" in asked_as(here, made, "audit", "list").err
    listed = here("clients", "list", "--json").json["items"]
    assert {"admin", "ann"} <= {client["clientId"] for client in listed}
    assert "clientSecret" not in str(listed)

    assert here("clients", "remove", "ann").code == 0
    assert asked_as(here, made, "groups", "list").code != 0
    assert "disabledAt" in str(here("clients", "list", "--json").json)


def test_a_second_admin_may_do_what_the_first_may_and_nobody_shuts_itself_out(
    here: CommandLine,
) -> None:
    made = here("clients", "create", "bob", "--role", "admin", "--secret", STRONG, "--json")
    assert "clientSecret" not in made.json
    as_bob = ("--client-id", "bob", "--client-secret", STRONG)
    assert here("groups", "create", "by-bob", *as_bob).code == 0
    assert "shut yourself out" in here("clients", "remove", "bob", *as_bob).err


@pytest.mark.parametrize("weak", ["short", "password1234", "aaaaaaaaaaaaaaaa"])
def test_a_weak_secret_is_refused_and_not_repeated(here: CommandLine, weak: str) -> None:
    refused = here("clients", "create", "carl", "--secret", weak)
    assert refused.code != 0
    assert refused.err.startswith("nexus: clientSecret: ")
    assert weak not in refused.err


def test_the_numbers_are_shown(here: CommandLine) -> None:
    assert here("groups", "create", "counted").code == 0
    numbers = here("stats", "--json").json
    shown = dict(line.split() for line in here("stats").out.splitlines() if len(line.split()) == 2)
    assert int(shown["groups"]) == numbers["groups"] > 0
    assert int(shown["online"]) == numbers["agents"]["online"] == 0


# --- the audit log


def test_the_log_is_listed_and_whole(here: CommandLine, own_server: ServerProcess) -> None:
    here("groups", "create", "listed")
    listed = here("audit", "list", "--actor", "admin", "--limit", "1", "--json").json
    assert listed["items"][0]["action"] == "create_group"
    assert "create_group" in here("audit", "list").out

    whole = here("audit", "verify", "--json")
    assert (whole.code, whole.json["ok"]) == (0, True)
    (default,) = [row for row in whole.json["items"] if row["tenant"] == "default"]
    assert default["end"].startswith(f"default:{default['entries']}:")
    assert here("audit", "verify", "--expect", default["end"]).code == 0


@pytest.fixture(scope="module")
def once_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a Nexus that has done a few things and was stopped."""
    data = tmp_path_factory.mktemp("stopped") / "data"
    process = ServerProcess(data)
    try:
        process.start()
        at_work = CommandLine(environment=process.environment)
        for number in range(5):
            assert at_work("groups", "create", f"group-{number}").code == 0
        process.stop()
    finally:
        process.close()
    return data


@pytest.fixture
def stopped(once_stopped: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be spoilt."""
    return shutil.copytree(once_stopped, tmp_path / "data")


def meddle(folder: Path, statement: str) -> None:
    database = sqlite3.connect(folder / "nexus.db")
    with database:
        assert database.execute(statement).rowcount
    database.close()


def verify(folder: Path, *more: str) -> Outcome:
    return CommandLine()("audit", "verify", "--data-dir", str(folder), "--json", *more)


def test_whoever_meddles_with_the_database_is_found_out(stopped: Path) -> None:
    assert verify(stopped).code == 0
    noted = verify(stopped).json["items"][0]["end"]

    meddle(stopped, "UPDATE audit SET actor = 'somebody' WHERE seq = 2")
    edited = verify(stopped)
    assert edited.code == 1
    assert edited.json["items"][0]["findings"] == ["default: entry 2 is not what was written there"]
    assert "the audit log is not whole: 1 finding(s)" in edited.err
    meddle(stopped, "UPDATE audit SET actor = 'admin' WHERE seq = 2")
    assert verify(stopped).code == 0

    meddle(stopped, "DELETE FROM audit WHERE seq >= 4")
    cut = verify(stopped)
    assert cut.json["items"][0]["findings"] == ["default: entry 4 to 6 are missing"]

    # With the data folder somebody could move the anchor; whoever noted the end knows better.
    assert verify(stopped, "--accept").code == 0
    assert verify(stopped).code == 0
    assert verify(stopped, "--expect", noted).code == 1


def test_without_the_keys_nothing_can_be_said(stopped: Path, tmp_path: Path) -> None:
    (stopped / "pepper.key").rename(tmp_path / "elsewhere")
    refused = verify(stopped)
    assert refused.code == 2
    assert "pepper.key" in refused.err
    (stopped / "pepper.key").write_text("ab" * 32)
    foreign = verify(stopped)
    assert foreign.code == 1
    assert len(foreign.json["items"][0]["findings"]) == 6


@pytest.mark.parametrize("text", ["default", "default:x:y", "default:1", ":1:a"])
def test_an_end_that_is_none_is_refused(stopped: Path, text: str) -> None:
    refused = verify(stopped, "--expect", text)
    assert refused.code == 2 or "there is no tenant" in refused.err


def test_secrets_are_not_in_the_log(here: CommandLine, own_server: ServerProcess) -> None:
    secret = "a-long-and-chosen-secret-of-an-agent"
    here("agents", "create", "secretive", "--secret", secret)
    log = here("audit", "list", "--json").out
    assert '"action": "create_agent"' in log
    assert secret not in log
    assert "[redacted]" in log
    with httpx2.Client(base_url=own_server.url) as http:
        assert http.get("/observer/audit").status_code == 401
