"""Where it is tested how events reach their handlers: once, in order, acknowledged at the end."""

import asyncio
from typing import Any

import pytest

import oblivion
from hand_clock import HandClock
from oblivion import ContextUpdatePayload, Limits, TaskAssignedPayload, WakeUpPayload
from scripted_nexus import Call, MakeClient, ScriptedNexus, task


def message(task_id: str, content: str, **changes: Any) -> dict[str, Any]:
    return {
        "taskId": task_id,
        "messageTs": "200.000001",
        "author": "Ada",
        "authorId": "U1",
        "content": content,
        "isHuman": True,
        **changes,
    }


async def test_a_thread_message_arrives_with_all_that_the_quickstart_reads(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: asyncio.Queue[ContextUpdatePayload] = asyncio.Queue()
    client.on_context_update(heard.put)
    await client.connect()
    await nexus.send("context_update", message("t", "Is it done?"))
    payload = await heard.get()
    assert (payload.author, payload.content, payload.is_human) == ("Ada", "Is it done?", True)


async def test_a_wake_up_says_why(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()
    heard: asyncio.Queue[WakeUpPayload] = asyncio.Queue()
    client.on_wake_up(heard.put)
    await client.connect()
    await nexus.send("wake_up", {"reason": "mention", "taskId": "t", "triggeredBy": "Ada"})
    payload = await heard.get()
    assert (payload.reason, payload.task_id, payload.triggered_by) == ("mention", "t", "Ada")


async def test_messages_of_one_task_go_in_order_and_one_at_a_time(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: list[str] = []
    inside = 0

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await client.update_status("idle")
        heard.append(payload.content)
        inside -= 1

    await client.connect()
    sent = [await nexus.send("context_update", message("t", str(n))) for n in range(20)]
    await nexus.acknowledged(*(envelope["seq"] for envelope in sent))
    assert heard == [str(n) for n in range(20)]


async def test_the_messages_of_one_task_do_not_wait_for_those_of_another(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard = asyncio.Event()

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        if payload.task_id == "stuck":
            await asyncio.Event().wait()
        heard.set()

    await client.connect()
    await nexus.send("context_update", message("stuck", "one"))
    await nexus.send("context_update", message("free", "two"))
    await asyncio.wait_for(heard.wait(), 5)


async def test_an_event_is_acknowledged_when_its_handler_ended_and_not_before(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    go_on = asyncio.Event()

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        await go_on.wait()

    await client.connect()
    slow = await nexus.send("context_update", message("t", "slow"))
    unheard = await nexus.send("wake_up", {"reason": "manual"})
    await nexus.acknowledged(unheard["seq"])
    assert slow["seq"] not in nexus.acked
    go_on.set()
    await nexus.acknowledged(slow["seq"])


async def test_a_handler_that_raises_is_logged_and_its_event_acknowledged(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        raise KeyError("spam")

    await client.connect()
    first = await nexus.send("context_update", message("t", "one"))
    second = await nexus.send("context_update", message("t", "two"))
    await nexus.acknowledged(first["seq"], second["seq"])
    assert caplog.text.count("event=handler_failed handler=context_update task_id=t") == 2


async def test_acknowledgements_of_one_moment_travel_in_one_frame(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    go_on = asyncio.Event()

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        await go_on.wait()

    await client.connect()
    sent = [await nexus.send("context_update", message(f"t{n}", "hi")) for n in range(10)]
    last = await nexus.send("wake_up", {"reason": "manual"})
    await nexus.acknowledged(last["seq"])
    go_on.set()
    await nexus.acknowledged(*(envelope["seq"] for envelope in sent))
    assert len(nexus.of("event_ack")) <= 3


async def test_a_repeated_event_reaches_its_handler_once_and_is_acknowledged_again(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: list[str] = []

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        heard.append(payload.content)

    await client.connect()
    sent = await nexus.send("context_update", message("t", "once"))
    await nexus.acknowledged(sent["seq"])
    await nexus.send_raw("context_update", sent)
    await nexus.until(lambda: nexus.acked.count(sent["seq"]) == 2)
    assert heard == ["once"]


async def test_a_repeated_assignment_starts_nothing(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(max_concurrency=5)
    handled: list[str] = []
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        handled.append(payload.task_id)
        await go_on.wait()

    await client.connect()
    sent = await nexus.assign("t")
    await nexus.send_raw("task_assigned", sent)
    other = await nexus.assign("t")
    await nexus.acknowledged(other["seq"])
    go_on.set()
    await nexus.next("task_update")
    assert handled == ["t"]


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("task_assigned", {"payload": {"title": "no id"}}),
        ("task_assigned", {"payload": {**task("t"), "priority": "urgent"}}),
        ("task_assigned", {"payload": "no object"}),
        ("context_update", {"payload": {"content": ["no", "text"]}}),
        ("wake_up", {}),
        ("tool_result", {"payload": {"requestId": 7}}),
        ("task_cancelled", {"payload": None}),
        ("gap", {"payload": {"fromSeq": "x"}}),
    ],
)
async def test_a_malformed_event_is_said_so_acknowledged_and_survived(
    nexus: ScriptedNexus,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    type_: str,
    data: dict[str, Any],
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        """Do nothing."""

    await client.connect()
    await nexus.send_raw(type_, {"type": type_, "id": "odd", "seq": 41, **data})
    await nexus.acknowledged(41)
    assert f"event=event_malformed type={type_} id=odd problem=" in caplog.text
    assert client.connected
    await nexus.send("task_assigned", task("good"), seq=42)
    assert (await nexus.next("task_update")).payload["taskId"] == "good"


@pytest.mark.parametrize("data", [None, "text", 7, [], [1], {"seq": "x"}, {"seq": -1}, b"binary"])
async def test_frames_that_are_no_envelope_are_survived(
    nexus: ScriptedNexus, make_client: MakeClient, data: Any
) -> None:
    client = make_client()
    await client.connect()
    for event in ("task_assigned", "context_update", "unheard_of", "connected"):
        await nexus.send_raw(event, data)
    sent = await nexus.send("wake_up", {"reason": "manual"})
    await nexus.acknowledged(sent["seq"])
    assert client.connected


async def test_unknown_fields_and_nulls_are_tolerated(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    tasks: asyncio.Queue[TaskAssignedPayload] = asyncio.Queue()
    client.on_task_assigned(tasks.put)
    await client.connect()
    await nexus.assign("t", priority=None, description=None, brandNew={"x": 1}, metadata=None)
    payload = await tasks.get()
    assert (payload.priority, payload.description, payload.metadata) == (3, "", {})


async def test_an_unknown_event_type_is_ignored_and_acknowledged(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "oblivion")
    client = make_client()
    await client.connect()
    sent = await nexus.send("task_teleported", {"taskId": "t"})
    await nexus.acknowledged(sent["seq"])
    ignored = [r for r in caplog.records if "event=event_ignored" in r.getMessage()]
    assert [record.levelname for record in ignored] == ["DEBUG"]


async def test_events_before_the_handshake_is_complete_wait_for_it(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    order: list[str] = []

    @client.on_connected
    async def connected() -> None:
        order.append("connected")

    @client.on_wake_up
    async def wake(payload: WakeUpPayload) -> None:
        order.append("wake_up")

    async def hasty(_call: Call) -> dict[str, str]:
        await nexus.send("wake_up", {"reason": "manual"})
        return {"epoch": "epoch-1"}

    nexus.answers["agent_ready"] = hasty
    await client.connect()
    await nexus.acknowledged(1)
    assert order == ["connected", "wake_up"]


async def test_too_many_waiting_events_cut_the_connection_and_nothing_is_lost(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(limits=Limits(queued_events=5), clock=clock)
    heard: list[str] = []
    go_on = asyncio.Event()

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        await go_on.wait()
        heard.append(payload.content)

    await client.connect()
    sent = [await nexus.send("context_update", message("t", str(n))) for n in range(8)]
    await clock.timer(low=5, high=6)
    assert not client.connected
    go_on.set()
    clock.advance(6)
    await nexus.until(lambda: len(nexus.sids) == 2 and len(nexus.of("agent_ready")) == 2)
    await nexus.acknowledged(1, 2, 3, 4, 5)
    for envelope in sent:
        await nexus.send_raw("context_update", envelope)
    await nexus.acknowledged(6, 7, 8)
    assert heard == [str(n) for n in range(8)]


async def test_a_gap_is_logged_and_the_numbers_go_on(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()
    heard: asyncio.Queue[WakeUpPayload] = asyncio.Queue()
    client.on_wake_up(heard.put)
    await client.connect()
    await nexus.hint("gap", {"epoch": "epoch-1", "fromSeq": 1, "toSeq": 10})
    await nexus.send("wake_up", {"reason": "manual"}, seq=11)
    assert (await heard.get()).reason == "manual"
    await nexus.acknowledged(11)
    assert "event=events_lost from_seq=1 to_seq=10" in caplog.text


async def test_a_tool_result_reaches_its_handler(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: asyncio.Queue[oblivion.ToolResultPayload] = asyncio.Queue()
    client.on_tool_result(heard.put)
    await client.connect()
    await nexus.send("tool_result", {"requestId": "late", "success": True, "result": {"n": 1}})
    payload = await heard.get()
    assert (payload.request_id, payload.success, payload.data) == ("late", True, {"n": 1})
