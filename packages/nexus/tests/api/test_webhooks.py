"""What other services send is proven, stored once and answered; never is it lost or told gone."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from live_nexus import LiveNexus, live_nexus
from nexus.api.intake import Intake
from nexus.integrations.slack.webhook import signature
from nexus.services.deliveries import Letter
from nexus.services.webhooks import Received
from nexus.store import schema
from nexus.store.tx import Row, Tx
from nexus.testing.slack import Seal, SlackServer
from slack_requests import FORM, callback, form, press

BURST = 1_000


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """A Slack for tests."""
    async with SlackServer.running() as slack:
        yield slack


@pytest.fixture
async def nexus(
    tmp_path: Path, slack: SlackServer, server_database: str
) -> AsyncIterator[LiveNexus]:
    """A Nexus that knows the secret of that Slack, which sends what happens there."""
    secret = slack.app.signing_secret
    async with live_nexus(
        tmp_path / "data", database_url=server_database, slack_signing_secret=secret
    ) as nexus:
        await slack.send_events_to(f"{nexus.url}/webhooks/slack")
        yield nexus


def letters(tx: Tx) -> list[Row]:
    return list(tx.rows(schema.deliveries.select().order_by(schema.deliveries.c.id)))


async def stored(nexus: LiveNexus) -> list[Row]:
    return await nexus.serving.nexus.platform.store.read(letters)


async def test_what_happens_in_slack_is_stored_once_however_often_it_is_sent(
    nexus: LiveNexus, slack: SlackServer
) -> None:
    ann = slack.user("ann")
    channel = slack.open_channel("general", ann)
    slack.workspace.join(channel, slack.app.user)
    await ann.say(channel, "hello")
    await slack.settled()
    told = [one for one in slack.deliveries if one.event.get("text") == "hello"]
    assert len(told) == 1
    slack.repeat(told[0])
    await slack.settled()
    again = await slack.replay(told[0])
    assert again.status == 200
    said = [row for row in await stored(nexus) if row["payload"]["event"].get("text") == "hello"]
    assert [(row["box"], row["kind"], row["lane"]) for row in said] == [
        ("slack-in", "event", channel.id)
    ]


async def test_a_pressed_button_is_stored_and_answered_with_nothing(
    nexus: LiveNexus, slack: SlackServer
) -> None:
    answer = await slack.send_interaction(press())
    assert (answer.status, answer.body) == (200, "")
    assert [row["kind"] for row in await stored(nexus)] == ["action"]


@pytest.mark.parametrize("seal", [Seal.FORGED, Seal.OLD, Seal.MISSING])
async def test_what_slack_did_not_sign_just_now_is_refused_and_not_stored(
    nexus: LiveNexus, slack: SlackServer, seal: Seal
) -> None:
    for answer in (
        await slack.send(callback(), seal=seal),
        await slack.send_interaction(press(), seal=seal),
        await slack.send({"type": "url_verification", "challenge": "c"}, seal=seal),
    ):
        problem = json.loads(answer.body)
        assert (answer.status, problem["code"]) == (401, "not_signed")
    assert await stored(nexus) == []


async def test_who_guesses_signatures_is_told_how_to_prove_itself(nexus: LiveNexus) -> None:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.post("/webhooks/slack", json=callback())
        assert answer.headers["WWW-Authenticate"].startswith("Signature ")
        large = await http.post("/webhooks/slack", content=b"x" * (1024 * 1024 + 1))
        assert large.status_code == 413
        for source in ("clickup", "github"):
            absent = await http.post(f"/webhooks/{source}", json={})
            assert (absent.status_code, absent.json()["code"]) == (404, "not_found")
            assert source in absent.json()["detail"]


async def test_what_is_rightly_signed_and_makes_no_sense_is_answered_200(
    nexus: LiveNexus, slack: SlackServer
) -> None:
    for body in (b"", b"nonsense", b"\xff", b"[1]", b'{"type": "event_callback"}'):
        assert (await slack.send(body)).status == 200
    assert await stored(nexus) == []


async def test_a_burst_is_stored_whole_and_answered_as_it_is_stored(
    nexus: LiveNexus, slack: SlackServer
) -> None:
    """Every answer finds its letter on disk; how long it took is printed, not judged."""
    missing: list[str] = []

    async def send(number: int) -> float:
        event = callback(f"Ev{number:04}", channel=f"C{number % 5}")
        answer = await slack.send(event)
        assert answer.status == 200
        if number % 50 == 0:
            keys = {row["key"] for row in await stored(nexus)}
            missing.extend({f"A1:T1:Ev{number:04}"} - keys)
        return answer.took_ms

    took = sorted(await asyncio.gather(*(send(number) for number in range(BURST))))
    print(f"{BURST} events, in ms: p50 {took[BURST // 2]:.0f}, p99 {took[-10]:.0f}, {took[-1]:.0f}")
    assert missing == []
    assert len({row["key"] for row in await stored(nexus)}) == BURST


async def test_without_a_secret_it_is_said_what_to_set(tmp_path: Path) -> None:
    async with (
        live_nexus(tmp_path / "data") as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        answer = await http.post("/webhooks/slack", json=callback())
        assert answer.status_code == 503
        assert "SLACK_SIGNING_SECRET" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) > 0
        assert await stored(nexus) == []


async def test_a_developers_own_nexus_takes_what_nobody_signed(tmp_path: Path) -> None:
    async with (
        live_nexus(tmp_path / "data", dev=True) as nexus,
        httpx2.AsyncClient(base_url=nexus.url) as http,
    ):
        await http.post("/webhooks/slack", json=callback())
        answer = await http.post(
            "/webhooks/slack", content=form(press()), headers={"Content-Type": FORM}
        )
        assert answer.status_code == 200
        assert [row["kind"] for row in await stored(nexus)] == ["event", "action"]


async def test_while_the_store_is_away_slack_is_asked_to_come_again(
    tmp_path: Path, slack: SlackServer
) -> None:
    secret = slack.app.signing_secret
    folder = tmp_path / "data"
    async with live_nexus(folder, database_url="", slack_signing_secret=secret) as nexus:
        await slack.send_events_to(f"{nexus.url}/webhooks/slack")
        store: Any = nexus.serving.nexus.platform.store
        store.lock_patience_ms = 50
        other = sqlite3.connect(folder / "nexus.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = await slack.send(callback())
        other.execute("ROLLBACK")
        other.close()
        assert answer.status == 503
        assert (await slack.send(callback())).status == 200
        assert len(await stored(nexus)) == 1


async def test_of_letters_that_come_together_one_that_cannot_be_stored_leaves_the_others_alone(
    nexus: LiveNexus,
) -> None:
    platform = nexus.serving.nexus.platform

    class Plain:
        def receive(self, headers: Any, body: bytes) -> Received:
            name = body.decode()
            tenant = {"bad": "no such tenant"}.get(name, tenant_id)
            letter = Letter(
                tenant_id=tenant, box="b", key=name, lane="l", kind="k", payload={"name": name}
            )
            return Received(letters=[letter])

    tenant_id = await platform.store.read(lambda tx: tx.scalar(schema.tenants.select()))
    intake = Intake(platform, {"plain": Plain()})
    names = [b"1", b"2", b"bad", b"3"]
    outcomes = await asyncio.gather(
        *(intake.receive("plain", {}, name) for name in names), return_exceptions=True
    )
    assert [isinstance(one, Exception) for one in outcomes] == [False, False, True, False]
    assert {row["key"] for row in await stored(nexus)} == {"1", "2", "3"}


def test_the_signature_is_slacks_own_example() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )
