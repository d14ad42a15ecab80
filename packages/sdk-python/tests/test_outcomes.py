"""Where it is tested how an attempt at a task ends, and what Nexus is told about it."""

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
