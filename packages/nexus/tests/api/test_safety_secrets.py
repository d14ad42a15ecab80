"""Secrets that are planted wherever one can be show up nowhere but where they must."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from command_line import CommandLine, ServerProcess, wait_until
from nexus.domain.redaction import HIDDEN
from nexus.settings import load_settings

ADMIN = "obv_" + "PlantedAdminSecret".ljust(43, "7")
JWT = "PlantedJwtSecret-0f9e8d7c6b5a4f3e2d1c"
CHOSEN = "PlantedChosenSecretOfAnAgent"
QUOTED = "obv_" + "PlantedInSomeText".ljust(43, "3")
PASSWORD = "PlantedDatabasePassword"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A server in which secrets were planted, and all that it has said to anybody."""

    process: ServerProcess
    secrets: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def logs(self) -> str:
        """What it has logged."""
        assert self.process.running is not None
        return "".join(self.process.running.err)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    process = ServerProcess(tmp_path_factory.mktemp("planted") / "data")
    process.extra = {
        "NEXUS_ADMIN_CLIENT_SECRET": ADMIN,
        "JWT_SECRET": JWT,
        "LOG_LEVEL": "debug",
    }
    try:
        process.start()
        with httpx2.Client(base_url=process.url) as http:
            yield _plant(Planted(process=process, secrets={}), http)
    finally:
        process.close()


def _plant(planted: Planted, http: httpx2.Client) -> Planted:
    secrets = planted.secrets
    secrets |= {"admin": ADMIN, "jwt": JWT, "chosen": CHOSEN, "quoted": QUOTED}
    login = {"client_id": "admin", "client_secret": ADMIN}
    secrets["access token"] = http.post("/auth/token", json=login).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {secrets['access token']}"
    _use_them_well(secrets, http)
    _quote_them(http)
    _use_them_badly(planted, http)
    asyncio.run(_show_them_at_the_socket(planted))
    return planted


def _use_them_well(secrets: dict[str, str], http: httpx2.Client) -> None:
    """Everything that makes, takes or changes a secret; answers show those that were made."""

    numbers = itertools.count()

    def made(path: str, **body: Any) -> Any:
        headers = {"Idempotency-Key": f"key-{next(numbers)}"}
        answer = http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    made("/groups", name="Team", slug="team")
    made("/projects", groupId="team", name="P", slug="p")
    agent = {"name": "A", "clientId": "chosen", "clientSecret": CHOSEN, "groupIds": ["team"]}
    made("/observer/agents", **agent)
    secrets["made"] = made("/observer/agents", name="B", clientId="made")["clientSecret"]
    rotated = made("/observer/agents/made/rotate-secret")
    secrets["rotated"] = rotated["clientSecret"]
    secrets["viewer"] = made("/observer/clients", clientId="viewer")["clientSecret"]
    token = made("/observer/registration-tokens", groupId="team")["token"]
    secrets["registration token"] = token
    joined = made("/auth/register", registrationToken=token, name="N", clientId="newcomer")
    secrets["newcomer"] = joined["clientSecret"]


def _quote_them(http: httpx2.Client) -> None:
    """People paste secrets into every text there is."""
    text = f"see {QUOTED} here"
    task = {"projectId": "p", "title": text, "description": text, "metadata": {"a": text}}
    task_id = http.post("/observer/tasks", json=task).json()["id"]
    http.post(f"/observer/tasks/{task_id}/messages", json={"text": text, "author": text})
    http.post(f"/observer/tasks/{task_id}/cancel", json={"reason": text})
    http.patch("/groups/team", json={"name": text, "description": text})
    http.patch("/observer/agents/made", json={"description": text})
    http.post("/observer/agents/made/wake", json={"message": text})
    http.post("/observer/agents/made/ban", json={"reason": text})


def _use_them_badly(planted: Planted, http: httpx2.Client) -> None:
    """Every secret where none belongs; every answer is a refusal, and is kept."""
    for secret in planted.secrets.values():
        for answer in (
            http.post("/observer/tasks", json={"projectId": "p", "clientSecret": secret}),
            http.post("/observer/agents", json={"name": "A", "clientSecret": secret}),
            http.post("/observer/agents", content=f'{{"clientSecret": "{secret}"'),
            http.post("/auth/token", json={"client_id": "nobody", "client_secret": secret}),
            http.post("/auth/token", data={"client_secret": secret, "grant_type": "password"}),
            http.post("/auth/register", json={"registrationToken": secret, "name": "N"}),
            http.get("/groups", headers={"Authorization": f"Bearer {secret}x"}),
            http.get("/groups", headers={"Authorization": f"Basic {secret}"}),
            http.get("/groups", params={"limit": 0, "token": secret}),
            http.post("/observer/clients", json={"clientId": "a b", "clientSecret": secret}),
        ):
            assert answer.is_error, answer.text
            planted.said.append(answer.text + str(answer.headers))


async def _show_them_at_the_socket(planted: Planted) -> None:
    """Tokens in the address, as older clients send them, good ones and bad ones."""
    url = planted.process.url.replace("http", "ws")
    for secret in planted.secrets.values():
        for query in ("transport=websocket&EIO=4", "transport=websocket&EIO=3"):
            with contextlib.suppress(Exception):
                async with connect(f"{url}/socket.io/?{query}&token={secret}") as socket:
                    await socket.recv()
                    await socket.send('40/agents,{"token":"' + secret + '"}')
                    planted.said.append(str(await socket.recv()))


def read(planted: Planted, path: str) -> str:
    headers = {"Authorization": f"Bearer {planted.secrets['access token']}"}
    return httpx2.get(planted.process.url + path, headers=headers).raise_for_status().text


def check(planted: Planted, where: str, text: str, *, but: frozenset[str] = frozenset()) -> None:
    shown = {name for name, secret in planted.secrets.items() if secret in text}
    assert shown - but == set(), f"{where} shows secrets"


def test_refusals_never_repeat_a_secret(planted: Planted) -> None:
    assert len(planted.said) > 100
    for text in planted.said:
        check(planted, "an answer", text)


def test_the_audit_log_shows_none(planted: Planted) -> None:
    text = read(planted, "/observer/audit?limit=200")
    assert HIDDEN in text
    assert "rotate_secret" in text
    check(planted, "the audit log", text)


def test_the_feed_shows_none(planted: Planted) -> None:
    text = read(planted, "/observer/activity?limit=200")
    assert f"see {HIDDEN} here" in text
    check(planted, "the feed", text)


def test_numbers_and_lists_show_none(planted: Planted) -> None:
    for path in ("/metrics", "/observer/clients", "/api-json"):
        check(planted, path, read(planted, path))
    # What somebody wrote into a name or description is theirs to read; no more than that is there.
    for path in ("/observer/agents", "/observer/registration-tokens"):
        check(planted, path, read(planted, path), but=frozenset({"quoted"}))


def test_the_log_shows_none_even_when_nexus_fails(planted: Planted) -> None:
    database = sqlite3.connect(planted.process.data_dir / "nexus.db")
    with database:  # somebody breaks what is kept, and the next look fails
        database.execute("UPDATE groups SET created_at = ? WHERE slug = 'team'", (QUOTED,))
    database.close()
    headers = {"Authorization": f"Bearer {planted.secrets['access token']}"}
    for secret in planted.secrets.values():
        answer = httpx2.get(
            f"{planted.process.url}/groups/team", params={"token": secret}, headers=headers
        )
        assert answer.status_code == 500
        check(planted, "a failure", answer.text)
    wait_until(lambda: "request_failed" in planted.logs)
    check(planted, "the log", planted.logs)


LOGGING = f"""
import logging, structlog
from nexus.telemetry import configure_logging
configure_logging("debug")
log = structlog.get_logger("a")
try:
    raise ValueError("bad {QUOTED}")
except ValueError:
    log.exception("failed {QUOTED}", client_secret="{CHOSEN}", headers=["Bearer {QUOTED}"])
    logging.getLogger("b").exception("failed url=%s", "postgresql://u:{PASSWORD}@h/d")
logging.getLogger("c").warning("GET /socket.io/?EIO=4&token=%s", "{CHOSEN}")
logging.getLogger("mcp.client").error("a server answered %s", "a secret without a form")
log.info("fine", token_id="id-1", seconds=0.5)
"""


def test_whatever_reaches_the_log_is_looked_through(tmp_path: Path) -> None:
    logged = CommandLine(cwd=tmp_path).python(LOGGING)
    assert logged.code == 0, logged.err
    for secret in (QUOTED, CHOSEN, PASSWORD):
        assert secret not in logged.err
    records = [json.loads(line) for line in logged.err.splitlines()]
    assert [record["level"] for record in records] == ["error", "error", "warning", "info"]
    assert "ValueError: bad [redacted]" in records[0]["exception"]
    assert (records[3]["token_id"], records[3]["seconds"]) == ("id-1", 0.5)
    assert "without a form" not in logged.err


def test_the_database_holds_none_of_those_that_open_something(planted: Planted) -> None:
    """Not in any table, and not in the answers that are kept for repeated requests."""
    database = sqlite3.connect(planted.process.data_dir / "nexus.db")
    dump = "\n".join(database.iterdump())
    database.close()
    assert "idempotency_keys" in dump
    check(planted, "the database", dump, but=frozenset({"quoted"}))


def test_the_command_line_shows_none(planted: Planted) -> None:
    line = CommandLine(environment={**planted.process.environment, **planted.process.extra})
    for command in (
        ("doctor",),
        ("doctor", "--json"),
        ("agents", "list", "--json"),
        ("clients", "list"),
    ):
        outcome = line(*command)
        text = outcome.out + outcome.err
        check(planted, " ".join(command), text, but=frozenset({"quoted"}))


def test_settings_show_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"postgresql://nexus:{PASSWORD}@127.0.0.1:1/nexus"
    for name, value in (("JWT_SECRET", JWT), ("DATABASE_URL", url)):
        monkeypatch.setenv(name, value)
    shown = repr(load_settings(admin_client_secret=ADMIN))
    for command in (("doctor", "--json"), ("migrate",), ("audit", "verify"), ("tenants", "list")):
        outcome = CommandLine(cwd=tmp_path)(*command, DATABASE_URL=url, JWT_SECRET=JWT)
        assert outcome.code != 0
        shown += outcome.out + outcome.err
    for secret in (PASSWORD, JWT, ADMIN):
        assert secret not in shown
