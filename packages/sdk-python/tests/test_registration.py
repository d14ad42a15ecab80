"""Where joining by oneself is tested: asking, being refused, waiting for the approval."""

import asyncio
import base64
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

import oblivion
from hand_clock import HandClock
from oblivion.protocol import ApprovalStatus
from scripted_nexus import ScriptedNexus

TOKEN = "reg_a-token-of-an-admin"
GROUP = {"id": "g", "slug": "core", "name": "Core"}


class Desk:
    """The registration desk of the scripted Nexus."""

    def __init__(self, nexus: ScriptedNexus) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.lost = 0
        self.refusals: list[tuple[int, Any]] = []
        nexus.http_answers["/auth/register"] = self._answer

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers["Idempotency-Key"])
        if self.lost:
            self.lost -= 1
            assert request.transport is not None
            request.transport.close()
        if self.refusals:
            status, body = self.refusals.pop(0)
            if isinstance(body, str):
                return web.Response(text=body, status=status)
            return web.json_response(body, status=status)
        agent = {"id": "a", "agentId": "a", "clientId": self.asked[-1]["clientId"]}
        known = {"approvalStatus": "PENDING", "pendingGroup": GROUP, "message": "wait"}
        return web.json_response({**agent, **known}, status=201)


@pytest.fixture
def desk(nexus: ScriptedNexus) -> Desk:
    return Desk(nexus)


async def test_an_agent_that_asks_gets_what_to_connect_with(
    nexus: ScriptedNexus, desk: Desk
) -> None:
    joined = await oblivion.register_agent(
        nexus.url + "/",
        f" {TOKEN}\n",
        client_id="newcomer",
        name="New Comer",
        description="Counts",
        email="ada@example.org",
        capabilities=("text", "python"),
    )
    secret = joined.client_secret
    assert secret is not None
    assert len(base64.urlsafe_b64decode(secret.removeprefix("obv_") + "=")) == 32, "256 bits"
    assert desk.asked == [
        {
            "registrationToken": TOKEN,
            "clientId": "newcomer",
            "clientSecret": secret,
            "name": "New Comer",
            "description": "Counts",
            "email": "ada@example.org",
            "capabilities": ["text", "python"],
        }
    ]
    assert (joined.client_id, joined.agent_id, joined.message) == ("newcomer", "a", "wait")
    assert joined.approval_status is ApprovalStatus.PENDING
    assert joined.pending_group is not None
    assert joined.pending_group.slug == "core"


async def test_the_secret_shows_in_no_repr(nexus: ScriptedNexus, desk: Desk) -> None:
    chosen = await oblivion.register_agent(
        nexus.url, TOKEN, client_id="newcomer", client_secret="a chosen secret"
    )
    assert chosen.client_secret == "a chosen secret"
    for text in (repr(chosen), str(chosen), f"{chosen!r:.500}"):
        assert "chosen" not in text
        assert "newcomer" in text


async def test_without_a_name_people_see_the_client_id(nexus: ScriptedNexus, desk: Desk) -> None:
    await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")
    assert desk.asked[0]["name"] == "newcomer"
    assert "email" not in desk.asked[0]


async def test_each_registration_has_a_secret_and_a_key_of_its_own(
    nexus: ScriptedNexus, desk: Desk
) -> None:
    first = await oblivion.register_agent(nexus.url, TOKEN, client_id="one")
    second = await oblivion.register_agent(nexus.url, TOKEN, client_id="two")
    assert first.client_secret != second.client_secret
    assert len(set(desk.keys)) == 2


async def test_an_answer_that_got_lost_is_asked_for_again_and_costs_no_secret(
    nexus: ScriptedNexus, desk: Desk
) -> None:
    desk.lost = 2
    joined = await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")
    assert len(desk.asked) == 3
    assert desk.asked[0] == desk.asked[1] == desk.asked[2]
    assert len(set(desk.keys)) == 1
    assert joined.client_secret == desk.asked[0]["clientSecret"]


async def test_a_nexus_that_asks_to_come_back_is_asked_again(
    nexus: ScriptedNexus, desk: Desk
) -> None:
    desk.refusals = [(503, {"code": "unavailable"}), (429, {"code": "rate_limited"})]
    joined = await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")
    assert joined.client_id == "newcomer"
    assert len(set(desk.keys)) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, {"code": "registration_token_unknown"}, oblivion.RegistrationTokenRefused),
        (403, {"code": "registration_token_expired"}, oblivion.RegistrationTokenRefused),
        (403, {"code": "registration_token_used_up"}, oblivion.RegistrationTokenRefused),
        (403, {"code": "registration_token_revoked"}, oblivion.RegistrationTokenRefused),
        (409, {"code": "client_id_taken"}, oblivion.ClientIdTaken),
        (422, {"code": "invalid_payload", "detail": "/name"}, oblivion.PayloadRefused),
        (404, "<html>", oblivion.NotFound),
    ],
)
async def test_a_refusal_is_typed_and_says_why(
    nexus: ScriptedNexus,
    desk: Desk,
    status: int,
    body: Any,
    kind: type[oblivion.OblivionError],
) -> None:
    desk.refusals = [(status, body)]
    with pytest.raises(oblivion.OblivionError) as caught:
        await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")
    assert type(caught.value) is kind
    assert not caught.value.retryable
    if isinstance(body, dict):
        assert getattr(caught.value, "code", None) == body["code"]
    assert TOKEN not in str(caught.value)


async def test_too_many_registrations_end_as_retryable(nexus: ScriptedNexus, desk: Desk) -> None:
    desk.refusals = [(429, {"code": "rate_limited"})] * 3
    with pytest.raises(oblivion.RateLimited) as caught:
        await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")
    assert caught.value.retryable


async def test_what_is_no_registration_is_a_violation(nexus: ScriptedNexus, desk: Desk) -> None:
    desk.refusals = [(201, {"hello": "world"})]
    with pytest.raises(oblivion.ProtocolViolation, match="/auth/register"):
        await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")


async def test_where_nobody_listens_is_told_at_once(nexus: ScriptedNexus) -> None:
    await nexus.stop()
    with pytest.raises(oblivion.NexusUnreachable):
        await oblivion.register_agent(nexus.url, TOKEN, client_id="newcomer")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"client_id": ""}, oblivion.InvalidArgument),
        ({"client_id": 7}, oblivion.InvalidArgumentType),
        ({"registration_token": None}, oblivion.InvalidArgumentType),
        ({"client_secret": " "}, oblivion.InvalidArgument),
        ({"capabilities": "python"}, oblivion.InvalidArgumentType),
        ({"email": 7}, oblivion.InvalidArgumentType),
        ({"name": None}, oblivion.InvalidArgumentType),
        ({"nexus_url": "nowhere"}, oblivion.ConfigurationError),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_is_sent(
    nexus: ScriptedNexus, desk: Desk, wrong: dict[str, Any], kind: type[oblivion.OblivionError]
) -> None:
    given: dict[str, Any] = {
        "nexus_url": nexus.url,
        "registration_token": TOKEN,
        "client_id": "newcomer",
    }
    with pytest.raises(kind):
        await oblivion.register_agent(**given | wrong)
    assert desk.asked == []


# --- the status -----------------------------------------------------------------------------------


def standing(nexus: ScriptedNexus, *answers: Any) -> list[str]:
    """Have the status answered so, one after the other, the last for ever; return who asked."""
    left, seen = list(answers), list[str]()

    def answer(request: web.Request) -> web.Response:
        seen.append(base64.b64decode(request.headers["Authorization"].split()[1]).decode())
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, int):
            return web.json_response({"detail": "no"}, status=said)
        return web.json_response(said)

    nexus.http_answers["/auth/registration-status"] = answer
    return seen


PENDING = {"approvalStatus": "PENDING", "pendingGroup": GROUP}
APPROVED = {"approvalStatus": "APPROVED"}
REJECTED = {"approvalStatus": "REJECTED", "rejectionReason": "no need, pending a review"}


async def test_an_agent_asks_with_its_own_credentials(nexus: ScriptedNexus) -> None:
    seen = standing(nexus, PENDING)
    status = await oblivion.registration_status(nexus.url, "newcomer", "pä:ss %41")
    assert status.approval_status is ApprovalStatus.PENDING
    who, _, secret = seen[0].partition(":")
    assert (who, unquote(secret)) == ("newcomer", "pä:ss %41")


async def test_a_rejection_comes_with_its_reason(nexus: ScriptedNexus) -> None:
    standing(nexus, REJECTED)
    status = await oblivion.registration_status(nexus.url, "newcomer", "secret")
    assert status.rejection_reason == "no need, pending a review"


async def test_a_wrong_secret_is_refused(nexus: ScriptedNexus) -> None:
    standing(nexus, 401)
    with pytest.raises(oblivion.AuthenticationFailed):
        await oblivion.registration_status(nexus.url, "newcomer", "wrong")


async def test_whoever_waits_hears_of_the_approval(nexus: ScriptedNexus, clock: HandClock) -> None:
    seen = standing(nexus, PENDING, PENDING, APPROVED)
    waiting = asyncio.create_task(
        oblivion.wait_for_approval(nexus.url, "newcomer", "secret", poll_interval=7, clock=clock)
    )
    for looks in (1, 2):
        await clock.timer(low=7, high=7)
        assert len(seen) == looks
        clock.advance(7)
    async with asyncio.timeout(10):
        assert (await waiting).approval_status is ApprovalStatus.APPROVED
    assert len(seen) == 3


async def test_whoever_waits_hears_of_the_rejection(nexus: ScriptedNexus) -> None:
    standing(nexus, REJECTED)
    with pytest.raises(oblivion.AgentRejected, match="no need, pending a review") as caught:
        await oblivion.wait_for_approval(nexus.url, "newcomer", "secret")
    assert caught.value.code == "agent_rejected"


async def test_waiting_ends_when_its_time_is_over(nexus: ScriptedNexus, clock: HandClock) -> None:
    standing(nexus, PENDING)
    waiting = asyncio.create_task(
        oblivion.wait_for_approval(nexus.url, "newcomer", "secret", timeout=12, clock=clock)
    )
    for _ in range(2):
        await clock.timer(low=5, high=5)
        clock.advance(5)
    await clock.timer(low=5, high=5)
    clock.advance(2)
    with pytest.raises(oblivion.AgentPending, match="within 12 s"):
        async with asyncio.timeout(10):
            await waiting
    assert clock.timers == []


@pytest.mark.parametrize("trouble", [503, 429, 502])
async def test_a_nexus_in_trouble_is_waited_for(
    nexus: ScriptedNexus, clock: HandClock, trouble: int
) -> None:
    seen = standing(nexus, PENDING, trouble, APPROVED)
    waiting = asyncio.create_task(
        oblivion.wait_for_approval(nexus.url, "newcomer", "secret", clock=clock)
    )
    for _ in range(2):
        await clock.timer(low=5, high=5)
        clock.advance(5)
    async with asyncio.timeout(10):
        await waiting
    assert len(seen) == 3


async def test_a_nexus_that_goes_away_is_waited_for(nexus: ScriptedNexus, clock: HandClock) -> None:
    standing(nexus, PENDING)
    waiting = asyncio.create_task(
        oblivion.wait_for_approval(nexus.url, "newcomer", "secret", clock=clock)
    )
    await clock.timer(low=5, high=5)
    await nexus.stop()
    clock.advance(5)
    await clock.timer(low=5, high=5)
    await nexus.start()
    standing(nexus, APPROVED)
    clock.advance(5)
    async with asyncio.timeout(10):
        assert (await waiting).approval_status is ApprovalStatus.APPROVED


async def test_waiting_at_the_wrong_address_or_with_the_wrong_secret_ends_at_once(
    nexus: ScriptedNexus,
) -> None:
    standing(nexus, 401)
    with pytest.raises(oblivion.AuthenticationFailed):
        await oblivion.wait_for_approval(nexus.url, "newcomer", "wrong")
    await nexus.stop()
    with pytest.raises(oblivion.NexusUnreachable):
        await oblivion.wait_for_approval(nexus.url, "newcomer", "secret")
