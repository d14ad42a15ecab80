"""Where it is tested what becomes of a task: its handler, its outcome, its slot."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

import oblivion
from hand_clock import HandClock
from oblivion import TaskAssignedPayload
from scripted_nexus import MakeClient, ScriptedNexus, refused


class Review(BaseModel):
    verdict: str
    at: datetime


@dataclass
class Finding:
    line: int


async def test_a_handler_that_returns_completes_the_task(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    seen: list[TaskAssignedPayload] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> dict[str, int]:
        seen.append(payload)
        return {"findings": 3}

    await client.connect()
    await nexus.assign("t", title="Review", attempt=2)
    update = await nexus.next("task_update")
    assert update.payload == {
        "taskId": "t",
        "attempt": 2,
        "status": "DONE",
        "result": {"findings": 3},
    }
    assert (seen[0].title, seen[0].priority, seen[0].project_name) == ("Review", 3, "Backend")


async def test_a_task_is_acknowledged_at_receipt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    started, go_on = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        started.set()
        await go_on.wait()

    await client.connect()
    sent = await nexus.assign("t")
    await nexus.acknowledged(sent["seq"])
    await started.wait()
    assert not nexus.of("task_update")
    go_on.set()
    assert (await nexus.next("task_update")).payload["status"] == "DONE"


@pytest.mark.parametrize(
    ("result", "on_the_wire"),
    [
        (None, None),
        ("text", "text"),
        ([1, 2.5, True, None], [1, 2.5, True, None]),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (Finding(line=7), {"line": 7}),
        (
            Review(verdict="ok", at=datetime(2026, 1, 1, tzinfo=UTC)),
            {"verdict": "ok", "at": "2026-01-01T00:00:00Z"},
        ),
    ],
)
async def test_a_result_becomes_json(
    nexus: ScriptedNexus, make_client: MakeClient, result: object, on_the_wire: object
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> object:
        return result

    await client.connect()
    await nexus.assign("t")
    payload = (await nexus.next("task_update")).payload
    assert payload["status"] == "DONE"
    assert payload.get("result") == on_the_wire


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (object(), "object"),
        (b"bytes", "binary data (bytes)"),
        ({"deep": [b"bytes"]}, "binary data (bytes)"),
        (float("nan"), "not JSON compliant"),
        (threading.Lock(), "lock"),
        ("x" * 300_000, "262144"),
    ],
)
async def test_a_result_that_json_cannot_hold_fails_the_attempt_readably(
    nexus: ScriptedNexus, make_client: MakeClient, result: object, reason: str
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> object:
        return result

    await client.connect()
    await nexus.assign("t")
    payload = (await nexus.next("task_update")).payload
    assert payload["status"] == "FAILED"
    assert reason in payload["error"]


async def test_a_result_that_contains_itself_fails_the_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    endless: list[Any] = []
    endless.append(endless)

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> object:
        return endless

    await client.connect()
    await nexus.assign("t")
    payload = (await nexus.next("task_update")).payload
    assert payload["status"] == "FAILED"
    assert "contains itself" in payload["error"]


async def test_a_result_that_nexus_refuses_fails_the_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    nexus.answers["task_update"] = lambda call: (
        refused("invalid_payload", message="result too large")
        if call.payload["status"] == "DONE"
        else {"acknowledged": True}
    )

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        return "too large for this Nexus"

    await client.connect()
    await nexus.assign("t")
    await nexus.next("task_update")
    payload = (await nexus.next("task_update")).payload
    assert payload["status"] == "FAILED"
    assert "result too large" in payload["error"]


async def test_a_handler_that_raises_fails_the_attempt_readably(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        raise ValueError("no such file: spam.py")

    await client.connect()
    await nexus.assign("t")
    payload = (await nexus.next("task_update")).payload
    assert payload == {
        "taskId": "t",
        "attempt": 1,
        "status": "FAILED",
        "error": "ValueError: no such file: spam.py",
    }
    assert "event=handler_failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_endless_error_is_cut(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        raise RuntimeError("x" * 1_000_000)

    await client.connect()
    await nexus.assign("t")
    assert len((await nexus.next("task_update")).payload["error"]) == 4_000


async def test_a_handler_cancelled_from_inside_fails_the_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        raise asyncio.CancelledError

    await client.connect()
    await nexus.assign("t")
    payload = (await nexus.next("task_update")).payload
    assert (payload["status"], payload["error"]) == ("FAILED", "CancelledError")


@pytest.mark.parametrize(
    ("move", "status"),
    [
        ("complete_task", "DONE"),
        ("fail_task", "FAILED"),
        ("release_task", "TODO"),
        ("block_task", "BLOCKED_ON_HUMAN"),
    ],
)
async def test_a_task_that_the_author_moved_is_not_reported_again(
    nexus: ScriptedNexus, make_client: MakeClient, move: str, status: str
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        arguments = [payload.task_id, "why"] if move == "fail_task" else [payload.task_id]
        if payload.task_id == "first":
            await getattr(client, move)(*arguments)

    await client.connect()
    await nexus.assign("first")
    assert (await nexus.next("task_update")).payload["status"] == status
    await nexus.assign("second")
    second = (await nexus.next("task_update")).payload
    assert (second["taskId"], second["status"]) == ("second", "DONE")


async def test_a_blocked_task_is_completed_later_under_its_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await client.block_task(payload.task_id, "waiting for the key")

    @client.on_context_update
    async def answered(payload: oblivion.ContextUpdatePayload) -> None:
        await client.complete_task(payload.task_id, result=payload.content)

    await client.connect()
    await nexus.assign("t", attempt=3)
    assert (await nexus.next("task_update")).payload["message"] == "waiting for the key"
    await nexus.send("context_update", {"taskId": "t", "content": "here it is"})
    done = (await nexus.next("task_update")).payload
    assert (done["status"], done["attempt"], done["result"]) == ("DONE", 3, "here it is")


async def test_progress_names_attempt_and_share(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await client.report_progress(payload.task_id, 0.5, "half way")

    await client.connect()
    await nexus.assign("t")
    progress = (await nexus.next("task_update")).payload
    assert progress["status"] == "IN_PROGRESS"
    assert (progress["progress"], progress["message"], progress["attempt"]) == (0.5, "half way", 1)


async def test_a_task_that_this_agent_does_not_hold_cannot_be_moved(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(oblivion.LeaseLost, match="does not hold the task 'other'"):
        await client.complete_task("other")
    assert not nexus.of("task_update")


async def test_a_move_that_nexus_refused_leaves_the_outcome_to_the_handler(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    nexus.answers["task_update"] = lambda call: (
        refused("invalid_transition")
        if call.payload["status"] == "BLOCKED_ON_HUMAN"
        else {"acknowledged": True}
    )

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        with pytest.raises(oblivion.InvalidTransition):
            await client.block_task(payload.task_id)

    await client.connect()
    await nexus.assign("t")
    await nexus.next("task_update")
    assert (await nexus.next("task_update")).payload["status"] == "DONE"


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
    beat = await nexus.next("heartbeat")
    assert {"taskId": "long", "attempt": 1} in beat.payload["active"]


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


async def test_the_report_of_an_attempt_outlasts_a_long_outage(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    nexus.heartbeat_interval_ms = 10_000_000
    nexus.answers["task_update"] = lambda _call: refused("unavailable", retryable=True)

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        return "precious"

    await client.connect()
    await nexus.assign("t")
    for pause in (0.5, 1, 2, 4, 8, 16, 30, 30):
        await clock.timer(low=pause, high=pause)
        clock.advance(pause)
    await nexus.until(lambda: len(nexus.of("task_update")) == 9)
    del nexus.answers["task_update"]
    await clock.timer(low=30, high=30)
    clock.advance(30)
    await nexus.until(lambda: len(nexus.of("task_update")) == 10)
    assert len({call.id for call in nexus.of("task_update")}) == 1


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
