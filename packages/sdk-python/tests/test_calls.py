"""Where it is tested that calls arrive: kept, resent, refused by name, failed with the session."""

import asyncio
from typing import Any

import pytest

import oblivion
from hand_clock import HandClock
from oblivion import AgentStatus, EventType, Limits, Timeouts
from scripted_nexus import SILENCE, Call, MakeClient, ScriptedNexus, refused


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("idle",), {"status": "idle"}),
        ((AgentStatus.IDLE,), {"status": "idle"}),
        (
            (AgentStatus.WORKING, "task-123", "Starting"),
            {"status": "working", "taskId": "task-123", "message": "Starting"},
        ),
    ],
)
async def test_a_status_is_sent_as_the_quickstart_says(
    nexus: ScriptedNexus, make_client: MakeClient, arguments: tuple[Any, ...], sent: dict[str, Any]
) -> None:
    client = make_client()
    await client.connect()
    await client.update_status(*arguments)
    call = await nexus.next("status_update")
    assert call.payload == sent
    assert call.envelope["type"] == EventType.STATUS_UPDATE
    assert call.id
    assert call.envelope["timestamp"].endswith("Z")


async def test_a_status_takes_keywords(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    await client.update_status(status="error", message="Database connection failed")
    assert (await nexus.next("status_update")).payload == {
        "status": "error",
        "message": "Database connection failed",
    }


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: c.update_status("busy"), "idle, working, error"),
        (lambda c: c.update_status(7), "status must be a string, not int"),
        (lambda c: c.update_status("idle", task_id=7), "task_id"),
        (lambda c: c.update_status("idle", message=b"x"), "message"),
        (lambda c: c.claim_task(""), "task_id must not be empty"),
        (lambda c: c.complete_task(None), "task_id must be a string, not None"),
        (lambda c: c.complete_task("t", b"x"), "result contains binary data"),
        (lambda c: c.complete_task("t", {"x": float("inf")}), "result cannot be written as JSON"),
        (lambda c: c.fail_task("t", ValueError("x")), "error must be a string, not ValueError"),
        (lambda c: c.report_progress("t", 1.5), "from 0 to 1, not 1.5"),
        (lambda c: c.report_progress("t", "half"), "progress must be a number"),
        (lambda c: c.report_progress("t", float("nan")), "finite"),
        (lambda c: c.post_message("t", "  "), "text must not be empty"),
        (lambda c: c.post_message("t", "x", kind="shout"), "kind"),
        (lambda c: c.post_message("t", "x", broadcast="yes"), "broadcast must be True or False"),
        (lambda c: c.post_message("t", "x", choices=["a"]), "choices need kind='question'"),
        (lambda c: c.post_message("t", "half \ud83d"), "lone surrogate"),
        (lambda c: c.post_message("t", "x" * 300_000), "at most 262144"),
        (lambda c: c.ask_human("t", ""), "question must not be empty"),
        (lambda c: c.ask_human("t", "what?", timeout=0), "timeout must be .* greater than 0"),
        (lambda c: c.request_tool("", "x"), "tool must not be empty"),
        (lambda c: c.request_tool("github", None), "action must be a string"),
        (lambda c: c.request_tool("github", "x", ["no", "dict"]), "params must be a dict"),
        (lambda c: c.request_tool("github", "x", {"data": b"x"}), "params contains binary data"),
        (lambda c: c.request_tool("github", "x", {"o": object()}), "params cannot be written"),
        (lambda c: c.request_tool("github", "x", timeout=-1), "timeout must be"),
        (lambda c: c.request_tool("github", "x", timeout="30"), "timeout must be a number"),
        (lambda c: c.get_thread("t", limit=0), "limit must be from 1"),
        (lambda c: c.list_tasks(available="yes"), "available must be True or False"),
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_sent(
    nexus: ScriptedNexus, make_client: MakeClient, call: Any, says: str
) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(oblivion.InvalidArgument, match=says) as caught:
        await call(client)
    assert isinstance(caught.value, ValueError)
    assert {sent.type for sent in nexus.calls} == {"agent_ready"}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("lease_lost", oblivion.LeaseLost),
        ("invalid_transition", oblivion.InvalidTransition),
        ("not_found", oblivion.NotFound),
        ("conflict", oblivion.Conflict),
        ("already_claimed", oblivion.AlreadyClaimed),
        ("no_free_slot", oblivion.NoFreeSlot),
        ("forbidden", oblivion.Forbidden),
        ("invalid_payload", oblivion.PayloadRefused),
        ("internal", oblivion.CallRefused),
        ("brand_new", oblivion.CallRefused),
    ],
)
async def test_a_refused_call_raises_what_its_code_says(
    nexus: ScriptedNexus, make_client: MakeClient, code: str, error: type[oblivion.CallRefused]
) -> None:
    client = make_client()
    await client.connect()
    nexus.answers["post_message"] = lambda _call: refused(code, message="because")
    with pytest.raises(oblivion.CallRefused, match="because") as caught:
        await client.post_message("t", "hello")
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.retryable) == (code, False)


@pytest.mark.parametrize("answer", [None, "ok", [], {"ok": "maybe"}, 7])
async def test_an_unreadable_answer_is_a_violation_and_no_crash(
    nexus: ScriptedNexus, make_client: MakeClient, answer: Any
) -> None:
    client = make_client()
    await client.connect()
    nexus.answers["claim_task"] = lambda _call: answer
    with pytest.raises(oblivion.ProtocolViolation, match="claim_task"):
        await client.claim_task("t")
    await client.update_status("idle")


async def test_a_claim_that_another_agent_won_is_a_result(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    nexus.answers["claim_task"] = lambda call: {
        "taskId": call.payload["taskId"],
        "success": False,
        "error": "already claimed by reviewer-2",
    }
    result = await client.claim_task("t")
    assert (result.success, result.error) == (False, "already claimed by reviewer-2")


async def test_a_message_says_where_it_stands(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    posted = await client.post_message("t", "done", kind="final", broadcast=True)
    assert posted.message_ts == "100.000001"
    sent = (await nexus.next("post_message")).payload
    assert (sent["taskId"], sent["text"], sent["kind"], sent["broadcast"]) == (
        "t",
        "done",
        "final",
        True,
    )
    assert sent["clientMessageId"]


async def test_a_refusal_that_may_pass_is_tried_again_with_the_same_id(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    answers = [refused("unavailable", retryable=True), {"acknowledged": True}]
    nexus.answers["status_update"] = lambda _call: answers.pop(0)
    calling = asyncio.ensure_future(client.update_status("idle"))
    await clock.timer(low=0.5, high=0.5)
    clock.advance(0.5)
    await calling
    assert len({call.id for call in nexus.of("status_update")}) == 1
    assert len(nexus.of("status_update")) == 2


async def test_a_refusal_that_never_passes_is_raised_in_the_end(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    nexus.answers["status_update"] = lambda _call: refused("rate_limited", retryable=True)
    calling = asyncio.ensure_future(client.update_status("idle"))
    for pause in (0.5, 1, 2, 4, 8):
        await clock.timer(low=pause, high=pause)
        clock.advance(pause)
    with pytest.raises(oblivion.RateLimited) as caught:
        await calling
    assert caught.value.retryable
    assert len(nexus.of("status_update")) == 6


async def test_calls_that_got_no_answer_are_resent_in_order_under_the_same_ids(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    nexus.answers["post_message"] = lambda _call: SILENCE
    calls = [asyncio.ensure_future(client.post_message("t", text)) for text in "abc"]
    await nexus.until(lambda: len(nexus.of("post_message")) == 3)
    await nexus.cut()
    await clock.timer(low=5, high=6)
    calls.append(asyncio.ensure_future(client.post_message("t", "d")))
    del nexus.answers["post_message"]
    clock.advance(6)
    await asyncio.gather(*calls)
    said = [(call.payload["text"], call.id) for call in nexus.of("post_message")]
    assert [text for text, _ in said] == ["a", "b", "c", "a", "b", "c", "d"]
    assert said[:3] == said[3:6]


async def test_a_missing_answer_on_a_live_connection_means_it_is_dead(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    lost: asyncio.Queue[str] = asyncio.Queue()
    client.on_disconnected(lost.put)
    await client.connect()
    nexus.answers["status_update"] = lambda _call: SILENCE
    calling = asyncio.ensure_future(client.update_status("idle"))
    await nexus.next("status_update")
    clock.advance(20)
    assert client.connected, "a loop that was blocked gets a second to catch up"
    clock.advance(1)
    assert "no answer to status_update" in await lost.get()
    del nexus.answers["status_update"]
    await clock.timer(low=5, high=6)
    clock.advance(6)
    await calling


async def test_a_caller_that_gives_up_withdraws_its_call(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    calling = asyncio.ensure_future(client.post_message("t", "never mind"))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    clock.advance(6)
    await nexus.until(lambda: len(nexus.of("agent_ready")) == 2)
    await client.update_status("idle")
    assert not nexus.of("post_message")


async def test_too_many_waiting_calls_are_an_error_that_names_the_bound(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(limits=Limits(pending_calls=3), timeouts=Timeouts(close=0.1))
    await client.connect()
    nexus.answers["post_message"] = lambda _call: SILENCE
    waiting = [asyncio.ensure_future(client.post_message("t", "x")) for _ in range(3)]
    await nexus.until(lambda: len(nexus.of("post_message")) == 3)
    with pytest.raises(oblivion.QueueOverflow, match="3 calls wait"):
        await client.post_message("t", "one too many")
    await client.disconnect()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [oblivion.Disconnected] * 3


async def test_the_end_of_the_session_fails_what_waits_at_once(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    nexus.answers["status_update"] = lambda _call: SILENCE
    calling = asyncio.ensure_future(client.update_status("idle"))
    await nexus.next("status_update")
    await nexus.hint("superseded", {"sessionId": "other"})
    with pytest.raises(oblivion.SessionSuperseded):
        await calling


async def test_no_more_than_a_window_of_calls_is_under_way(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    go_on = asyncio.Event()
    answered: list[Call] = []

    def count(call: Call) -> Any:
        answered.append(call)
        return SILENCE if not go_on.is_set() else {"ok": True}

    nexus.answers["post_message"] = count
    calls = [asyncio.ensure_future(client.post_message("t", str(n))) for n in range(100)]
    await nexus.until(lambda: len(nexus.of("post_message")) == 64)
    await client.send_heartbeat()
    assert len(nexus.of("post_message")) == 64
    await client.disconnect()
    await asyncio.gather(*calls, return_exceptions=True)
