"""Where it is tested that a tool request always ends, and with what."""

import asyncio

import pytest

import oblivion
from hand_clock import HandClock
from scripted_nexus import SILENCE, Call, MakeClient, ScriptedNexus, envelope_of, refused


async def test_a_result_that_comes_as_an_event_is_returned_and_heard(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: asyncio.Queue[oblivion.ToolResultPayload] = asyncio.Queue()
    client.on_tool_result(heard.put)
    await client.connect()
    asking = asyncio.ensure_future(
        client.request_tool(
            tool="github", action="create_pr", params={"repo": "my-org/my-repo"}, timeout=30
        )
    )
    sent = (await nexus.next("tool_request")).payload
    assert (sent["tool"], sent["action"], sent["timeoutMs"]) == ("github", "create_pr", 30_000)
    assert sent["params"] == {"repo": "my-org/my-repo"}
    event = await nexus.send(
        "tool_result", {"requestId": sent["requestId"], "success": True, "result": {"pr": 7}}
    )
    result = await asking
    assert (result.success, result.data, result.error) == (True, {"pr": 7}, None)
    assert await heard.get() == result
    await nexus.acknowledged(event["seq"])


async def test_a_result_in_the_acknowledgement_is_returned(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    def answer(call: Call) -> object:
        request_id = call.payload["requestId"]
        return envelope_of("tool_result", {"requestId": request_id, "success": True, "result": 42})

    nexus.answers["tool_request"] = answer
    client = make_client()
    await client.connect()
    assert (await client.request_tool("math", "answer")).data == 42


async def test_a_failed_tool_is_a_result(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    asking = asyncio.ensure_future(client.request_tool("github", "nope"))
    request_id = (await nexus.next("tool_request")).payload["requestId"]
    error = "there is no tool github.nope"
    await nexus.send("tool_result", {"requestId": request_id, "success": False, "error": error})
    result = await asking
    assert (result.success, result.error) == (False, error)


async def test_a_refusal_is_a_result(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    nexus.answers["tool_request"] = lambda _call: refused("forbidden", message="not allowed")
    client = make_client()
    await client.connect()
    result = await client.request_tool("github", "delete_repo")
    assert (result.success, result.error) == (False, "not allowed")


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_a_time_out_is_a_result(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock, acknowledged: bool
) -> None:
    if not acknowledged:
        nexus.answers["tool_request"] = lambda _call: SILENCE
    client = make_client(clock=clock)
    await client.connect()
    asking = asyncio.ensure_future(client.request_tool("slow", "tool", timeout=3))
    await nexus.next("tool_request")
    clock.advance(3)
    result = await asyncio.wait_for(asking, 5)
    assert (result.success, result.error) == (False, "no result of slow.tool within 3 s")


async def test_a_time_out_counts_while_reconnecting(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    asking = asyncio.ensure_future(client.request_tool("any", "tool", timeout=3))
    await clock.timer(low=3, high=3)
    clock.advance(3)
    assert not (await asyncio.wait_for(asking, 5)).success


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_the_end_of_the_session_is_a_result(
    nexus: ScriptedNexus, make_client: MakeClient, acknowledged: bool
) -> None:
    if not acknowledged:
        nexus.answers["tool_request"] = lambda _call: SILENCE
    client = make_client()
    await client.connect()
    asking = asyncio.ensure_future(client.request_tool("any", "tool"))
    await nexus.next("tool_request")
    await nexus.hint("superseded", {"sessionId": "newer"})
    result = await asyncio.wait_for(asking, 5)
    assert not result.success
    assert "newer session" in str(result.error)


async def test_an_unreadable_result_is_a_result_without_success(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.answers["tool_request"] = lambda _call: envelope_of("tool_result", {"success": 7})
    client = make_client()
    await client.connect()
    assert not (await client.request_tool("any", "tool")).success


async def test_parameters_that_fit_into_no_frame_are_a_result_and_the_session_lives_on(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    result = await client.request_tool("any", "tool", {"text": "x" * 10_000_000})
    assert (result.success, result.code) == (False, "invalid_params")
    assert "a frame holds at most 262144: send less" in str(result.error)
    asking = asyncio.ensure_future(client.request_tool("any", "tool", {"text": "x"}))
    sent = (await nexus.next("tool_request")).payload
    await nexus.send("tool_result", {"requestId": sent["requestId"], "success": True})
    assert (await asking).success
