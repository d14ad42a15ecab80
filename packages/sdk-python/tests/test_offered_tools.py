"""Where it is tested how functions become tools of others, and how their calls are answered."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import oblivion
from hand_clock import HandClock
from oblivion import InvalidHandlerError
from scripted_nexus import MakeClient, ScriptedNexus, refused


class Version(BaseModel):
    """A release."""

    number: int


def offered(nexus: ScriptedNexus) -> list[dict[str, Any]]:
    """Return what the newest announcement offers."""
    tools: list[dict[str, Any]] = nexus.of("agent_ready")[-1].payload["tools"]
    return tools


async def ask(nexus: ScriptedNexus, action: str, params: Any = None, **more: Any) -> Any:
    """Have the agent asked, and return its answer."""
    call = {"callId": "c1", "tool": "t", "action": action, "params": params or {}, **more}
    event = await nexus.send("tool_call", call)
    await nexus.acknowledged(event["seq"])
    return (await nexus.next("tool_answer")).payload


async def test_a_tool_is_announced_with_its_docstring_and_the_schema_of_its_annotations(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.tool("deploy", action="rollback")
    async def rollback(to: Version, *, force: bool = False) -> None:
        """Go back.

        At once.
        """

    await client.connect()
    (offer,) = offered(nexus)
    assert (offer["tool"], offer["action"]) == ("deploy", "rollback")
    assert offer["description"] == "Go back.\n\nAt once."
    schema = offer["inputSchema"]
    assert (schema["required"], schema["additionalProperties"]) == (["to"], False)
    assert schema["properties"]["force"] == {"default": False, "title": "Force", "type": "boolean"}


async def test_a_client_without_tools_announces_none(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    await make_client().connect()
    assert "tools" not in (await nexus.next("agent_ready")).payload


async def test_a_schema_of_the_authors_own_is_announced_as_it_is(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    schema = {"type": "object", "properties": {"a": {"const": 1}}}
    client.tool("t", action="a", schema=schema, description="mine")(lambda **all_: all_)
    await client.connect()
    (offer,) = offered(nexus)
    assert (offer["inputSchema"], offer["description"]) == (schema, "mine")
    assert (await ask(nexus, "a", {"a": 1, "b": 2}))["result"] == {"a": 1, "b": 2}


async def test_parameters_become_what_the_annotations_say(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.tool("t", action="next")
    async def following(of: Version) -> Version:
        return Version(number=of.number + 1)

    await client.connect()
    answer = await ask(nexus, "next", {"of": {"number": 6}})
    assert answer == {"callId": "c1", "success": True, "result": {"number": 7}}


async def test_a_plain_function_runs_on_a_thread(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    client.tool("t", action="where")(lambda: threading.current_thread().name)
    await client.connect()
    assert (await ask(nexus, "where"))["result"] == "oblivion-handler"


def explode() -> None:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("function", "params", "error"),
    [
        (explode, {}, "RuntimeError: boom"),
        (lambda: b"\x00", {}, "binary data"),
        (lambda: float("nan"), {}, "cannot be written as JSON"),
        (lambda n: n, {"m": "hush"}, "Missing required argument"),
        (lambda: "x" * 300_000, {}, "a frame holds at most"),
    ],
)
async def test_what_goes_wrong_in_a_tool_is_its_answer(
    nexus: ScriptedNexus,
    make_client: MakeClient,
    function: Callable[..., Any],
    params: Any,
    error: str,
) -> None:
    client = make_client()
    client.tool("t", action="fails")(function)
    await client.connect()
    answer = await ask(nexus, "fails", params)
    assert (answer["success"], answer.get("result")) == (False, None)
    assert error in answer["error"]
    assert "hush" not in answer["error"]


async def test_what_is_not_offered_is_refused(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    client.tool("t", action="a")(lambda: None)
    await client.connect()
    assert "does not offer t.other" in (await ask(nexus, "other"))["error"]


async def test_a_tool_that_takes_too_long_is_cancelled_and_says_so(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    cancelled = asyncio.Event()

    @client.tool("t", action="hangs")
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await client.connect()
    call = {"callId": "c1", "tool": "t", "action": "hangs", "params": {}, "timeoutMs": 2_000}
    await nexus.send("tool_call", call)
    await clock.timer(low=2, high=2)
    clock.advance(2)
    answer = (await nexus.next("tool_answer")).payload
    assert answer["error"] == "t.hangs did not end within 2 s"
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_calls_run_side_by_side_and_hold_up_no_other_event(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    together = asyncio.Barrier(2)

    @client.tool("t", action="meet")
    async def meet() -> int:
        return await asyncio.wait_for(together.wait(), 5)

    await client.connect()
    for number in ("c1", "c2"):
        call: dict[str, Any] = {"callId": number, "tool": "t", "action": "meet", "params": {}}
        await nexus.send("tool_call", call)
    answers = [(await nexus.next("tool_answer")).payload for _ in range(2)]
    assert sorted(answer["result"] for answer in answers) == [0, 1]


async def test_a_call_that_comes_again_is_run_once(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client, runs = make_client(), []
    client.tool("t", action="a")(lambda: runs.append(1))
    await client.connect()
    call = {"callId": "c1", "tool": "t", "action": "a", "params": {}}
    event = await nexus.send("tool_call", call, seq=1, id_="e1")
    await nexus.next("tool_answer")
    await nexus.send_raw("tool_call", event)
    await nexus.until(lambda: nexus.acked.count(1) == 2)
    assert len(runs) == 1


async def test_a_withdrawn_call_is_acknowledged_and_not_run(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client, runs = make_client(), []
    client.tool("t", action="a")(lambda: runs.append(1))
    await client.connect()
    call = {"callId": "c1", "tool": "t", "action": "a", "params": {}}
    withdrawn = {"type": "tool_call", "payload": call, "id": "e1", "seq": 1, "withdrawn": True}
    await nexus.send_raw("tool_call", withdrawn)
    await nexus.acknowledged(1)
    assert (runs, nexus.of("tool_answer")) == ([], [])


async def test_an_answer_that_nobody_waits_for_does_no_harm(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.answers["tool_answer"] = lambda _call: refused("conflict", message="too late")
    client = make_client()
    client.tool("t", action="a")(lambda: 1)
    await client.connect()
    await ask(nexus, "a")
    assert client.connected


async def test_a_client_that_drains_ends_its_calls_and_offers_nothing_any_more(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @client.tool("t", action="a")
    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    await client.connect()
    call = {"callId": "c1", "tool": "t", "action": "a", "params": {}}
    await nexus.send("tool_call", call)
    await asyncio.wait_for(begun.wait(), 5)
    leaving = asyncio.ensure_future(client.disconnect())
    await nexus.until(lambda: len(nexus.of("agent_ready")) == 2)
    assert offered(nexus) == []
    go_on.set()
    assert (await nexus.next("tool_answer")).payload["result"] == "done"
    await asyncio.wait_for(leaving, 5)


class Unknown:
    """What pydantic cannot describe."""


def takes_unknown(it: Unknown) -> None: ...


def takes_positional(it: int, /) -> None: ...


def takes_later(it: "NotThere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (takes_unknown, "cannot be described"),
        (takes_positional, "must all have names"),
        (takes_later, "cannot be described"),
        (Unknown, "must be a function"),
        ("text", "must be a function"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused(
    make_client: MakeClient, function: Any, said: str
) -> None:
    with pytest.raises(InvalidHandlerError, match=said):
        make_client().tool("t", action="a")(function)


def test_an_action_is_offered_once_and_needs_names(make_client: MakeClient) -> None:
    client = make_client()
    client.tool("t", action="a")(lambda: None)
    with pytest.raises(InvalidHandlerError, match=r"t\.a is offered already"):
        client.tool("t", action="a")(lambda: None)
    with pytest.raises(InvalidHandlerError, match="action must not be empty"):
        client.tool("t", action=" ")(lambda: None)


async def test_no_tool_is_added_while_connected(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(InvalidHandlerError, match=r"register the tool t\.a before connect"):
        client.tool("t", action="a")(lambda: None)


async def test_a_request_that_waits_for_a_person_gets_that_time_and_its_own(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    asking = asyncio.ensure_future(client.request_tool("t", "a", timeout=3))
    sent = (await nexus.next("tool_request")).payload
    assert sent["waits"] is True
    notice = {"requestId": sent["requestId"], "approvalId": "c1", "expiresInMs": 60_000}
    event = await nexus.send("tool_waiting", notice)
    await nexus.acknowledged(event["seq"])
    clock.advance(50)
    await nexus.send(
        "tool_result", {"requestId": sent["requestId"], "success": True, "result": "approved"}
    )
    assert (await asyncio.wait_for(asking, 5)).data == "approved"


async def test_a_request_that_waits_for_a_person_ends_too(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    asking = asyncio.ensure_future(client.request_tool("t", "a", timeout=3))
    sent = (await nexus.next("tool_request")).payload
    notice = {"requestId": sent["requestId"], "expiresInMs": 60_000}
    event = await nexus.send("tool_waiting", notice)
    await nexus.acknowledged(event["seq"])
    clock.advance(68)
    result = await asyncio.wait_for(asking, 5)
    assert (result.success, result.code) == (False, "timed_out")


async def test_tools_are_listed_with_their_schemas(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    from aiohttp import web

    told = {"tool": "t", "action": "a", "inputSchema": {"type": "object"}, "new": 1}
    nexus.http_answers["/tools"] = lambda _request: web.json_response([told])
    client = make_client()
    await client.connect()
    (tool,) = await client.list_tools()
    assert tool == oblivion.ToolInfo(tool="t", action="a", input_schema={"type": "object"})
