"""Secrets on their way: set by an admin, used by tools, and shown to nobody."""

import asyncio
import contextlib
import json
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventually import eventually
from http_peer import HttpPeer, answer, http_peer
from live_nexus import LiveNexus, live_nexus
from nexus.domain.redaction import KnownSecrets
from nexus.settings import SettingsError, load_settings
from nexus.telemetry.redaction import redact
from oblivion import OblivionClient

PROGRAM = Path(__file__).parents[1] / "support" / "mcp_program.py"
VALUE = "sesame/open+please"
NEWER = "another-word-for-sesame"


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    """A server that repeats what it was sent, secrets included."""
    async with http_peer() as peer:

        async def echo(writer: asyncio.StreamWriter) -> None:
            said = json.dumps(dict(peer.asked[-1].headers)).encode()
            await answer(said, content_type="application/json")(writer)

        peer.say = echo
        yield peer


@contextlib.asynccontextmanager
async def nexus_for(folder: Path, peer: HttpPeer, **options: Any) -> AsyncIterator[LiveNexus]:
    config = folder / "nexus.toml"
    config.write_text(f"""
[http_hosts."http://127.0.0.1:{peer.port}"]
private = true
headers = {{ Authorization = "Bearer ${{secret:key}}" }}

[[tool_rules]]
tools = ["http.*", "github.*"]
""")
    async with live_nexus(folder / "data", config=config, **options) as nexus:
        yield nexus


@contextlib.asynccontextmanager
async def asker(nexus: LiveNexus) -> AsyncIterator[OblivionClient]:
    await nexus.admin.team()
    await nexus.admin.agent("asker")
    async with OblivionClient(**nexus.agent_settings("asker")) as client:
        yield client


async def test_a_secret_is_used_and_shown_to_nobody(
    tmp_path: Path, peer: HttpPeer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wish = {"url": f"http://127.0.0.1:{peer.port}/x"}
    async with nexus_for(tmp_path, peer) as nexus, asker(nexus) as client:
        missing = await client.request_tool("http", "get", wish)
        assert missing.code == "tool_unavailable"
        assert missing.error is not None
        assert "`nexus secrets set key`" in missing.error
        assert peer.connections == 0

        said = await nexus.admin.post("/observer/secrets", name="key", secret=VALUE)
        got = await client.request_tool("http", "get", wish)
        assert peer.asked[0].headers["authorization"] == f"Bearer {VALUE}"
        assert got.data["body"]["authorization"] == "Bearer [redacted]"

        await nexus.admin.post("/observer/secrets", name="key", secret=NEWER)
        await client.request_tool("http", "get", wish)
        assert peer.asked[1].headers["authorization"] == f"Bearer {NEWER}"

        refused = await nexus.admin.http.post(
            "/observer/secrets", json={"name": "key", "secret": f" {VALUE}"}
        )
        paths = ("secrets", "audit", "tools/calls", "feed", "tools")
        shown = [(await nexus.admin.http.get(f"/observer/{path}")).text for path in paths]
        assert set(said) == {"name", "setBy", "setAt"}
        everything = "\n".join([*shown, refused.text, str(said), caplog.text])
        assert refused.status_code == 422
        assert "set_secret" in everything
        assert VALUE not in everything
        assert NEWER not in everything
        assert VALUE not in (missing.error + str(got.data))
    if (tmp_path / "data" / "nexus.db").exists():
        dump = "\n".join(sqlite3.connect(tmp_path / "data" / "nexus.db").iterdump())
        assert "tool_secrets" in dump
        assert VALUE not in dump
        assert NEWER not in dump


async def test_without_its_key_nexus_starts_and_says_which_tools_suffer(
    tmp_path: Path, peer: HttpPeer
) -> None:
    wish = {"url": f"http://127.0.0.1:{peer.port}/x"}
    async with nexus_for(tmp_path, peer) as nexus:
        await nexus.admin.post("/observer/secrets", name="key", secret=VALUE)
    key = tmp_path / "data" / "secrets.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_text()
    key.unlink()
    github = {"github_token": "${secret:key}"}
    async with nexus_for(tmp_path, peer, **github) as nexus, asker(nexus) as client:
        for damage in (None, "00" * 32, "no key", ""):
            if damage is not None:
                key.write_text(damage)
            result = await client.request_tool("http", "get", wish)
            assert (result.code, peer.connections) == ("tool_unavailable", 0), damage
            refused = await nexus.admin.http.post(
                "/observer/secrets", json={"name": "more", "secret": VALUE}
            )
            assert refused.status_code == 409
            assert "secrets.key" in refused.json()["detail"]

        async def says_so() -> bool:
            found = (await nexus.admin.get("/observer/tools"))["items"]
            (problem,) = [one.get("problem", "") for one in found if one["name"] == "github"]
            return "secrets.key" in problem

        await eventually(says_so, what="the list of tools says what is missing")
        key.write_text(kept)
        assert (await client.request_tool("http", "get", wish)).success


async def test_a_key_of_the_settings_takes_the_place_of_the_file(
    tmp_path: Path, peer: HttpPeer
) -> None:
    old, new = "a" * 16 + "old-key-of-secrets-0f9e8d7c", "b" * 16 + "new-key-of-secrets-0f9e8d7c"
    wish = {"url": f"http://127.0.0.1:{peer.port}/x"}
    async with nexus_for(tmp_path, peer, secrets_key=old, dev=True) as nexus:
        await nexus.admin.post("/observer/secrets", name="key", secret=VALUE)
    assert not (tmp_path / "data" / "secrets.key").exists()
    both = {"secrets_key": new, "secrets_key_previous": old, "dev": True}
    async with nexus_for(tmp_path, peer, **both) as nexus, asker(nexus) as client:
        assert (await client.request_tool("http", "get", wish)).success
    with pytest.raises(SettingsError, match="setting secrets_key"):
        load_settings(secrets_key="short").refuse_weak_secrets()


async def test_a_program_is_given_its_secret_and_started_again_with_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.tools.configured._LOOK_S", 0.1)
    config = tmp_path / "nexus.toml"
    config.write_text(f"""
[tools.mine]
command = ["{sys.executable}", "{PROGRAM}", "{tmp_path / "journal"}"]
env = {{ TESTS_TOKEN = "${{secret:key}}" }}

[[tool_rules]]
tools = ["mine.*"]
""")
    async with live_nexus(tmp_path / "data", config=config) as nexus, asker(nexus) as client:

        async def problem() -> str:
            (tool,) = (await nexus.admin.get("/observer/tools"))["items"]
            return str(tool.get("problem", ""))

        async def waits() -> bool:
            return "the secret key is not set" in await problem()

        async def runs() -> bool:
            return not await problem()

        await eventually(waits, what="the tool says what it needs")
        await nexus.admin.post("/observer/secrets", name="key", secret=VALUE)
        await eventually(runs, what="the tool has what it needs")
        before = await client.request_tool("mine", "process")
        told = await client.request_tool("mine", "tell_all")
        assert "my token is [redacted]" in str(told.data)
        await nexus.admin.post("/observer/secrets", name="key", secret=NEWER)

        async def is_another() -> bool:
            now = await client.request_tool("mine", "process")
            return now.success and now.data != before.data

        await eventually(is_another, what="the tool is started again")
        told = await client.request_tool("mine", "tell_all")
        assert "my token is [redacted]" in str(told.data)


@pytest.mark.parametrize(
    ("toml", "part"),
    [
        ('[tools.x]\ncommand = ["x"]\nenv = {{ A = "${secret:}" }}', "names no secret"),
        ('[tools.x]\nurl = "https://x"\nheaders = {{ A = "${secret:a b}" }}', "names no secret"),
        ('github_token = "${secret:a/b}"', "names no secret"),
        ('[http_hosts."https://x"]\nheaders = {{ A = "${secret:a" }}', "names no secret"),
        (
            '[tools.x]\ncommand = ["x"]\nenv = {{ A = "${secret:a}" }}\ntenants = ["a", "b"]',
            "must have one of tenants alone",
        ),
    ],
    ids=["empty", "blank", "token", "open", "tenants"],
)
def test_a_name_that_is_none_is_refused_at_the_start(tmp_path: Path, toml: str, part: str) -> None:
    config = tmp_path / "nexus.toml"
    config.write_text(toml.replace("{{", "{").replace("}}", "}"))
    with pytest.raises(SettingsError, match=part):
        load_settings(config=config)


@pytest.mark.parametrize(
    "said",
    [
        VALUE,
        "https://x/?key=sesame%2Fopen%2Bplease",
        "c2VzYW1lL29wZW4rcGxlYXNl",
        f"before {VALUE} and {VALUE}after",
    ],
)
def test_what_is_known_is_hidden_in_every_usual_spelling(said: str) -> None:
    hidden = KnownSecrets(VALUE, "sesame").hide(said)
    for spelling in ("sesame", "c2VzYW1l", "please"):
        assert spelling not in hidden


def test_lines_of_a_long_secret_are_hidden_one_by_one() -> None:
    lines = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0", "-----END KEY-----"]
    known = KnownSecrets("\n".join(lines))
    assert "MIIEv" not in known.hide(f"tool says: {lines[1]}")
    assert "MII" not in repr(known)


def test_logs_hide_what_tools_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.telemetry.redaction.KNOWN", KnownSecrets(VALUE))
    record = redact(None, "info", {"event": f"it said {VALUE}", "more": ["x", VALUE], "n": 1})
    assert record == {"event": "it said [redacted]", "more": "['x', '[redacted]']", "n": 1}
