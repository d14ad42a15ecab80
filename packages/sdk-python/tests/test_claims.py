"""Where it is tested how offered tasks are claimed, by the author or by the SDK."""

import asyncio
from typing import Any

import pytest

from hand_clock import HandClock
from oblivion import OblivionClient, TaskAssignedPayload, TaskAvailablePayload
from scripted_nexus import Call, MakeClient, ScriptedNexus, refused, task


def working(client: OblivionClient) -> list[str]:
    handled: list[str] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        handled.append(payload.task_id)

    return handled


async def test_an_author_who_wants_to_choose_is_asked(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    working(client)

    @client.on_task_available
    async def choose(payload: TaskAvailablePayload) -> None:
        if payload.title == "good":
            await client.claim_task(payload.task_id)

    await client.connect()
    await nexus.hint("task_available", task("bad", title="bad"))
    await nexus.hint("task_available", task("good", title="good"))
    assert (await nexus.next("claim_task")).payload == {"taskId": "good"}
    assert len(nexus.of("claim_task")) == 1


async def test_without_such_a_handler_the_client_claims_by_itself(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    handled = working(client)
    await client.connect()
    await nexus.hint("task_available", task("t"))
    await nexus.next("claim_task")
    await nexus.assign("t")
    await nexus.next("task_update")
    assert handled == ["t"]


async def test_the_most_urgent_offer_is_claimed_when_a_slot_is_free(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await go_on.wait()

    await client.connect()
    await nexus.assign("running")
    for name, priority in (("low", 4), ("urgent", 1), ("gone", 1), ("high", 2)):
        await nexus.hint("task_available", task(name, priority=priority))
    await nexus.hint("task_claimed", {"taskId": "gone"})
    await client.send_heartbeat()
    assert not nexus.of("claim_task")
    go_on.set()
    for name in ("urgent", "high", "low"):
        assert (await nexus.next("claim_task")).payload["taskId"] == name
        await nexus.assign(name)


@pytest.mark.parametrize(
    "lost",
    [
        lambda call: {"taskId": call.payload["taskId"], "success": False, "error": "too late"},
        lambda _call: refused("already_claimed"),
        lambda _call: refused("not_found"),
    ],
    ids=["too late", "refused", "gone"],
)
async def test_a_lost_claim_tries_the_next_offer(
    nexus: ScriptedNexus, make_client: MakeClient, lost: Any
) -> None:
    client = make_client()
    working(client)
    claims: list[Call] = []

    def answer(call: Call) -> Any:
        claims.append(call)
        return lost(call) if len(claims) == 1 else {"taskId": "b", "success": True}

    nexus.answers["claim_task"] = answer
    await client.connect()
    await nexus.hint("task_available", task("a", priority=1))
    await nexus.hint("task_available", task("b", priority=2))
    assert (await nexus.next("claim_task")).payload["taskId"] == "a"
    assert (await nexus.next("claim_task")).payload["taskId"] == "b"


async def test_a_claim_without_a_free_slot_is_tried_again_later(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock, reconnect_delay=99)
    working(client)
    nexus.answers["claim_task"] = lambda _call: refused("no_free_slot")
    await client.connect()
    await nexus.hint("task_available", task("t"))
    await nexus.next("claim_task")
    await clock.timer(low=5, high=5)
    clock.advance(5)
    assert (await nexus.next("claim_task")).payload["taskId"] == "t"


async def test_a_claimed_task_that_never_arrives_does_not_stop_the_claiming(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    working(client)
    nexus.heartbeat_interval_ms = 1_000_000
    await client.connect()
    await nexus.hint("task_available", task("a", priority=1))
    await nexus.hint("task_available", task("b", priority=2))
    await nexus.next("claim_task")
    await clock.timer(low=30, high=30)
    clock.advance(30)
    assert (await nexus.next("claim_task")).payload["taskId"] == "b"


async def test_an_agent_without_a_task_handler_claims_nothing(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    await nexus.hint("task_available", task("t"))
    await client.send_heartbeat()
    assert not nexus.of("claim_task")
