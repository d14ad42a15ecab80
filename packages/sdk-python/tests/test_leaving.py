"""Where it is tested how an agent leaves: it drains, then hands back what is left."""

import asyncio
import gc
import warnings

import pytest
from engineio import base_client

import oblivion
from oblivion import TaskAssignedPayload
from oblivion._clock import SystemClock
from oblivion._network import Network
from oblivion._route import find_route
from oblivion._socketio import SocketIOConnector
from scripted_nexus import MakeClient, ScriptedNexus


async def test_leaving_drains_and_then_hands_back_what_does_not_end(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(drain_timeout=0.05, max_concurrency=2)
    started = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        started.set()
        await asyncio.Event().wait()

    await client.connect()
    await nexus.assign("running")
    await started.wait()
    await client.disconnect()
    assert nexus.of("agent_ready")[-1].payload["acceptsTasks"] is False
    update = (await nexus.next("task_update")).payload
    assert (update["taskId"], update["status"]) == ("running", "TODO")


async def test_a_connection_whose_closing_is_cut_off_is_closed_all_the_same(
    nexus: ScriptedNexus,
) -> None:
    """A client may be disconnected while it tidies up after a try to come back that failed."""
    connector = SocketIOConnector(find_route(nexus.url, Network()), SystemClock(), 5.0)
    connection = await connector.open("a token", lambda _event, _data: None)
    closing = asyncio.create_task(connection.close(flush=False))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not base_client.connected_clients
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always")
        del connector, connection, closing
        gc.collect()
    assert left_open == []


async def test_a_message_whose_handler_was_cut_off_is_not_acknowledged(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(drain_timeout=0.05)
    started = asyncio.Event()

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        started.set()
        await asyncio.Event().wait()

    await client.connect()
    running = await nexus.send("context_update", {"taskId": "t", "content": "one"})
    waiting = await nexus.send("context_update", {"taskId": "t", "content": "two"})
    await started.wait()
    await client.disconnect()
    assert not {running["seq"], waiting["seq"]} & set(nexus.acked)


async def test_a_message_that_never_reached_its_handler_reaches_it_after_the_next_connect(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(drain_timeout=0.05)
    heard: list[str] = []
    started = asyncio.Event()

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        heard.append(payload.content)
        started.set()
        if payload.content == "one":
            await asyncio.Event().wait()

    await client.connect()
    events = [
        await nexus.send("context_update", {"taskId": "t", "content": content})
        for content in ("one", "two")
    ]
    await started.wait()
    await client.disconnect()
    await client.connect()
    for event in events:
        await nexus.send_raw("context_update", event)
    await nexus.acknowledged(*(event["seq"] for event in events))
    assert heard == ["one", "two"]


async def test_leaving_lets_a_running_handler_end(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(drain_timeout=30)
    started, go_on = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        started.set()
        await go_on.wait()
        return "finished"

    await client.connect()
    await nexus.assign("running")
    await started.wait()
    await nexus.assign("waiting")
    leaving = asyncio.ensure_future(client.disconnect())
    handed_back = (await nexus.next("task_update")).payload
    assert (handed_back["taskId"], handed_back["status"]) == ("waiting", "TODO")
    await nexus.assign("late")
    handed_back = (await nexus.next("task_update")).payload
    assert (handed_back["taskId"], handed_back["status"]) == ("late", "TODO")
    go_on.set()
    await leaving
    done = (await nexus.next("task_update")).payload
    assert (done["taskId"], done["result"]) == ("running", "finished")


async def test_a_handler_that_will_not_end_does_not_keep_the_client(
    nexus: ScriptedNexus, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oblivion._agent._GRACE_SECONDS", 0.05)
    client = make_client(drain_timeout=0.01)
    started, end = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        started.set()
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    await client.connect()
    await nexus.assign("t")
    await started.wait()
    await asyncio.wait_for(client.disconnect(), 5)
    assert not client.connected
    end.set()


async def test_a_task_for_an_agent_without_a_handler_goes_back(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    await make_client().connect()
    await nexus.assign("t")
    assert (await nexus.next("task_update")).payload["status"] == "TODO"


def slow_answer(nexus: ScriptedNexus) -> asyncio.Event:
    """Hold back Nexus's answers to ``agent_ready`` until the returned event is set."""
    answering = asyncio.Event()

    async def answer(_call: object) -> dict[str, object]:
        await answering.wait()
        return {"acknowledged": True, "epoch": nexus.epoch, "headSeq": 0, "lost": []}

    nexus.answers["agent_ready"] = answer
    return answering


async def test_a_task_that_comes_while_a_connect_is_called_off_is_handed_back(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    """Once Nexus has heard ``agent_ready`` it may send work, which must not vanish."""
    answering = slow_answer(nexus)
    client = make_client()

    @client.on_task_assigned
    async def handle(_payload: TaskAssignedPayload) -> None:
        raise AssertionError("nothing begins any more")

    connecting = asyncio.create_task(client.connect())
    await nexus.next("agent_ready")
    leaving = asyncio.create_task(client.disconnect())
    await nexus.assign("t")
    answering.set()
    assert (await nexus.next("task_update")).payload["status"] == "TODO"
    with pytest.raises(oblivion.Disconnected):
        await connecting
    await leaving
    assert not client.connected
    assert nexus.of("agent_ready")[-1].payload["acceptsTasks"] is False


async def test_a_task_that_comes_while_a_reconnect_is_called_off_is_handed_back(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(reconnect_delay=0.01, drain_timeout=0.05)

    @client.on_task_assigned
    async def handle(_payload: TaskAssignedPayload) -> None:
        raise AssertionError("nothing begins any more")

    await client.connect()
    await nexus.next("agent_ready")
    answering = slow_answer(nexus)
    await nexus.cut()
    await nexus.next("agent_ready")
    leaving = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0.1)  # longer than a drain with nothing to do
    await nexus.assign("t")
    answering.set()
    assert (await nexus.next("task_update")).payload["status"] == "TODO"
    await leaving
