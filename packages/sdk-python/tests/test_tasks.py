"""Where it is tested how tasks are worked on: cancelled, fenced, in slots, on threads."""

import asyncio
import threading

import pytest

import oblivion
from oblivion import TaskAssignedPayload
from scripted_nexus import MakeClient, ScriptedNexus, refused


async def test_a_cancelled_task_cancels_its_handler_and_reports_nothing(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    started, told = asyncio.Event(), asyncio.Event()
    cancelled: list[str] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        if payload.task_id == "next":
            return
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(payload.task_id)

    @client.on_task_cancelled
    async def hear(payload: oblivion.TaskCancelledPayload) -> None:
        cancelled.append(payload.reason)
        told.set()

    await client.connect()
    await nexus.assign("t")
    await started.wait()
    sent = await nexus.send("task_cancelled", {"taskId": "t", "attempt": 1, "reason": "stopped"})
    await told.wait()
    assert cancelled == ["t", "stopped"]
    await nexus.acknowledged(sent["seq"])
    await nexus.assign("next")
    assert (await nexus.next("task_update")).payload["taskId"] == "next"


async def test_the_cancellation_of_an_older_attempt_leaves_the_newer_alone(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    started, go_on = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        started.set()
        await go_on.wait()

    await client.connect()
    await nexus.assign("t", attempt=2)
    await started.wait()
    sent = await nexus.send("task_cancelled", {"taskId": "t", "attempt": 1})
    await nexus.acknowledged(sent["seq"])
    go_on.set()
    update = (await nexus.next("task_update")).payload
    assert (update["attempt"], update["status"]) == (2, "DONE")


async def test_a_lost_lease_cancels_the_handler(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    nexus.answers["task_update"] = lambda _call: refused("lease_lost", message="too late")
    caught: list[BaseException] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        try:
            await client.report_progress(payload.task_id, 0.1)
        except oblivion.LeaseLost as error:
            caught.append(error)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            caught.append(error)
            raise

    await client.connect()
    await nexus.assign("t")
    await nexus.next("task_update")
    await client.disconnect()
    assert [type(error) for error in caught] == [oblivion.LeaseLost, asyncio.CancelledError]
    assert len(nexus.of("task_update")) == 1


async def test_a_status_refused_for_a_lost_lease_cancels_the_handler(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    nexus.answers["status_update"] = lambda _call: refused("lease_lost")
    ended = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        try:
            await client.update_status("working", payload.task_id)
        finally:
            ended.set()

    await client.connect()
    await nexus.assign("t")
    await ended.wait()
    await client.disconnect()
    assert not nexus.of("task_update")


async def test_old_code_cannot_write_under_a_newer_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(max_concurrency=2)
    first, second = asyncio.Event(), asyncio.Event()
    refusals: list[str] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        if payload.attempt == 2:
            second.set()
            return
        first.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await second.wait()
            try:
                await client.complete_task(payload.task_id, "stale")
            except oblivion.LeaseLost as error:
                refusals.append(error.code)

    await client.connect()
    await nexus.assign("t", attempt=1)
    await first.wait()
    await nexus.assign("t", attempt=2)
    update = (await nexus.next("task_update")).payload
    assert (update["attempt"], update.get("result")) == (2, None)
    await client.disconnect()
    assert refusals == ["lease_lost"]


@pytest.mark.parametrize("slots", [1, 3])
async def test_no_more_tasks_run_at_once_than_max_concurrency(
    nexus: ScriptedNexus, make_client: MakeClient, slots: int
) -> None:
    client = make_client(max_concurrency=slots)
    running, most = 0, 0

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await client.update_status("working", payload.task_id)
        running -= 1

    await client.connect()
    for number in range(10):
        await nexus.assign(f"t{number}")
    await nexus.until(lambda: len(nexus.of("task_update")) == 10)
    assert most == slots


async def test_a_task_waiting_for_a_slot_can_be_cancelled(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    handled: list[str] = []
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        handled.append(payload.task_id)
        await go_on.wait()

    await client.connect()
    await nexus.assign("first")
    await nexus.assign("second")
    sent = await nexus.send("task_cancelled", {"taskId": "second", "attempt": 1})
    await nexus.acknowledged(sent["seq"])
    go_on.set()
    await nexus.assign("third")
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert handled == ["first", "third"]


async def test_a_plain_function_runs_on_a_thread_and_calls_through_the_loop(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    threads: list[str] = []

    @client.on_task_assigned
    def handle(payload: TaskAssignedPayload) -> str:
        threads.append(threading.current_thread().name)
        client.from_thread(client.update_status("working", payload.task_id, "on a thread"))
        return "done"

    await client.connect()
    await nexus.assign("t")
    assert (await nexus.next("status_update")).payload["message"] == "on a thread"
    assert (await nexus.next("task_update")).payload["result"] == "done"
    assert threads == ["oblivion-handler"]


async def test_a_plain_function_that_raises_fails_the_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    def handle(payload: TaskAssignedPayload) -> None:
        raise StopIteration("odd")

    await client.connect()
    await nexus.assign("t")
    assert "StopIteration" in (await nexus.next("task_update")).payload["error"]


async def test_a_cancelled_plain_function_can_no_longer_write(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    started, go_on = asyncio.Event(), threading.Event()
    refusals: list[BaseException] = []
    ended = threading.Event()
    loop = asyncio.get_running_loop()

    @client.on_task_assigned
    def handle(payload: TaskAssignedPayload) -> None:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(10)
        try:
            client.from_thread(client.complete_task(payload.task_id))
        except oblivion.LeaseLost as error:
            refusals.append(error)
        ended.set()

    await client.connect()
    await nexus.assign("t")
    await started.wait()
    sent = await nexus.send("task_cancelled", {"taskId": "t", "attempt": 1})
    await nexus.acknowledged(sent["seq"])
    go_on.set()
    await asyncio.to_thread(ended.wait, 10)
    assert len(refusals) == 1
    assert not nexus.of("task_update")


async def test_from_thread_says_where_it_belongs(make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(oblivion.NotConnectedError):
        client.from_thread(client.update_status("idle"))
    await client.connect()
    with pytest.raises(oblivion.UsageError, match="await"):
        client.from_thread(client.update_status("idle"))


async def test_a_long_task_delays_neither_heartbeats_nor_messages_nor_other_tasks(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.heartbeat_interval_ms = 20
    client = make_client(max_concurrency=2)
    heard = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        if payload.task_id == "long":
            await asyncio.Event().wait()

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        heard.set()

    await client.connect()
    await nexus.assign("long")
    await nexus.assign("short")
    await nexus.send("context_update", {"taskId": "long", "content": "hello"})
    assert (await nexus.next("task_update")).payload["taskId"] == "short"
    await heard.wait()
    held = {"taskId": "long", "attempt": 1}
    await nexus.until(lambda: any(held in b.payload["active"] for b in nexus.of("heartbeat")))
