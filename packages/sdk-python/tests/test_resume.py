"""Where it is tested that an agent survives its network: it comes back, and misses nothing."""

import asyncio

import pytest
from engineio import base_client

import oblivion
from dark_proxy import dark_proxy
from hand_clock import HandClock
from oblivion import TaskAssignedPayload, Timeouts, WakeUpPayload
from scripted_nexus import MakeClient, ScriptedNexus, TokenAnswer, envelope_of, task


async def reconnect(nexus: ScriptedNexus, clock: HandClock) -> None:
    """Wait for the first pause, let it pass, and wait for the agent."""
    known = len(nexus.of("agent_ready"))
    await clock.timer(low=5, high=6)
    clock.advance(6)
    await nexus.until(lambda: len(nexus.of("agent_ready")) > known)


async def test_the_pauses_are_those_that_the_quickstart_prints(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.stop()
    for pause in (5, 10, 20, 40, 80, 160, 300):
        timer = await clock.timer(low=pause, high=pause * 1.2)
        clock.advance(timer.seconds)
    timer = await clock.timer(low=300, high=360)
    await nexus.start()
    clock.advance(timer.seconds)
    await client.send_heartbeat()
    await nexus.cut()
    await clock.timer(low=5, high=6)


async def test_agents_that_an_admin_stopped_look_again_every_half_minute(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    stopped = {"code": "agents_stopped", "message": "all are stopped", "retryable": True}
    nexus.refusals += [stopped] * 5
    await nexus.cut()
    for pause in (5, 10, 20, 30, 30, 30):
        timer = await clock.timer(low=pause, high=pause * 1.2)
        clock.advance(timer.seconds)
    await nexus.until(lambda: len(nexus.of("agent_ready")) == 2)


async def test_the_first_pause_is_reconnect_delay(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock, reconnect_delay=0.5)
    await client.connect()
    await nexus.cut()
    await clock.timer(low=0.5, high=0.6)


async def test_an_agent_announces_what_it_holds_and_has_seen_when_it_comes_back(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await go_on.wait()

    await client.connect()
    await nexus.assign("t", attempt=2)
    await nexus.acknowledged(1)
    await nexus.cut()
    await reconnect(nexus, clock)
    first, second = (call.payload for call in nexus.of("agent_ready"))
    assert second["active"] == [{"taskId": "t", "attempt": 2}]
    assert (second["epoch"], second["lastSeq"]) == ("epoch-1", 1)
    assert first["instanceId"] == second["instanceId"]
    go_on.set()
    assert (await nexus.next("task_update")).payload["status"] == "DONE"


async def test_what_a_gap_announced_as_lost_is_not_asked_for_again(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    heard: asyncio.Queue[WakeUpPayload] = asyncio.Queue()
    client.on_wake_up(heard.put)
    await client.connect()
    await nexus.hint("gap", {"epoch": "epoch-1", "fromSeq": 1, "toSeq": 10})
    await nexus.hint("wake_up", {"reason": "manual"})  # comes after it
    await heard.get()
    await nexus.cut()
    await reconnect(nexus, clock)
    assert nexus.of("agent_ready")[-1].payload["lastSeq"] == 10


async def test_a_task_that_was_lost_meanwhile_is_given_up(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    cancelled = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await client.connect()
    await nexus.assign("t")
    await nexus.acknowledged(1)
    nexus.lost = ["t"]
    await nexus.cut()
    await reconnect(nexus, clock)
    await asyncio.wait_for(cancelled.wait(), 5)
    assert not nexus.of("task_update")


async def test_an_assignment_that_was_withdrawn_meanwhile_is_acknowledged_and_never_begun(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    begun: list[str] = []
    cancelled: list[tuple[str, int]] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        begun.append(payload.task_id)

    @client.on_task_cancelled
    async def note(payload: oblivion.TaskCancelledPayload) -> None:
        cancelled.append((payload.task_id, payload.attempt))

    await client.connect()
    stale = {**envelope_of("task_assigned", task("stale")), "id": "e-1", "seq": 1}
    await nexus.send_raw("task_assigned", {**stale, "withdrawn": True})
    over = {"taskId": "stale", "attempt": 1, "reason": "cancelled"}
    await nexus.send_raw(
        "task_cancelled", {**envelope_of("task_cancelled", over), "id": "e-2", "seq": 2}
    )
    fresh = {**envelope_of("task_assigned", task("fresh")), "id": "e-3", "seq": 3}
    await nexus.send_raw("task_assigned", fresh)
    await nexus.acknowledged(1, 2, 3)
    assert (await nexus.next("task_update")).payload["taskId"] == "fresh"
    assert begun == ["fresh"]
    assert cancelled == [("stale", 1)]


async def test_a_withdrawn_assignment_does_not_keep_the_agent_from_claiming(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    """It was won before the connection broke; the claim waits for it no longer."""
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None: ...

    await client.connect()
    await nexus.hint("task_available", task("won"))
    assert (await nexus.next("claim_task")).payload["taskId"] == "won"
    stale = {**envelope_of("task_assigned", task("won")), "id": "e-1", "seq": 1}
    await nexus.send_raw("task_assigned", {**stale, "withdrawn": True})
    await nexus.hint("task_available", task("next"))
    assert (await nexus.next("claim_task")).payload["taskId"] == "next"


async def test_a_restart_under_a_running_agent_loses_nothing_and_repeats_nothing(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    handled: list[str] = []
    heard: list[str] = []
    go_on = asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        handled.append(payload.task_id)
        await go_on.wait()
        return "survived"

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        heard.append(payload.content)

    await client.connect()
    task_event = await nexus.assign("t")
    said = await nexus.send("context_update", {"taskId": "t", "content": "one"})
    await nexus.acknowledged(1, 2)
    await nexus.stop()
    await clock.timer(low=5, high=6)
    go_on.set()
    await nexus.start()
    await reconnect(nexus, clock)
    await nexus.send_raw("task_assigned", task_event)
    await nexus.send_raw("context_update", said)
    missed = await nexus.send("context_update", {"taskId": "t", "content": "two"})
    await nexus.acknowledged(missed["seq"])
    done = (await nexus.next("task_update")).payload
    assert (done["status"], done["result"]) == ("DONE", "survived")
    assert handled == ["t"]
    assert heard == ["one", "two"]


async def test_what_is_done_while_away_is_acknowledged_on_return(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    started, go_on = asyncio.Event(), asyncio.Event()

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        started.set()
        await go_on.wait()

    await client.connect()
    sent = await nexus.send("context_update", {"taskId": "t", "content": "x"})
    await started.wait()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    go_on.set()
    await reconnect(nexus, clock)
    await nexus.acknowledged(sent["seq"])


async def test_another_epoch_starts_the_numbers_anew(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    heard: asyncio.Queue[str] = asyncio.Queue()

    @client.on_context_update
    async def hear(payload: oblivion.ContextUpdatePayload) -> None:
        await heard.put(payload.content)

    await client.connect()
    await nexus.send("context_update", {"taskId": "t", "content": "old"}, seq=1)
    assert await heard.get() == "old"
    nexus.epoch = "epoch-2"
    await nexus.cut()
    await reconnect(nexus, clock)
    await nexus.send("context_update", {"taskId": "t", "content": "new"}, seq=1)
    assert await heard.get() == "new"


async def test_a_token_that_expires_meanwhile_is_replaced(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    nexus.token_answers.append(TokenAnswer(body={"access_token": "short", "expires_in": 60}))
    client = make_client(clock=clock)
    await client.connect()
    clock.advance(50)
    await nexus.cut()
    await reconnect(nexus, clock)
    assert nexus.tokens[0] == "short"
    assert nexus.tokens[1] != "short"


async def test_a_token_in_the_first_part_of_its_life_is_used_again(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.cut()
    await reconnect(nexus, clock)
    assert nexus.tokens[0] == nexus.tokens[1]
    assert len(nexus.token_requests) == 1


async def test_a_draining_server_says_when_to_come_back(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.hint("server_draining", {"reconnectAfterMs": 1_500})
    await client.send_heartbeat()
    await nexus.cut()
    await clock.timer(low=1.5, high=1.8)


async def test_refused_credentials_end_the_waiting(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    clock.advance(800)
    nexus.token_answers.append(TokenAnswer(status=401, body={"error": "invalid_client"}))
    await nexus.cut()
    timer = await clock.timer(low=5, high=6)
    clock.advance(timer.seconds)
    with pytest.raises(oblivion.AuthenticationFailed):
        await asyncio.wait_for(client.wait(), 5)
    with pytest.raises(oblivion.NotConnectedError, match="session has ended"):
        await client.update_status("idle")


async def test_a_banned_agent_ends(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    nexus.refusals.append({"code": "agent_disabled", "message": "banned", "retryable": False})
    await nexus.cut()
    timer = await clock.timer(low=5, high=6)
    clock.advance(timer.seconds)
    with pytest.raises(oblivion.AgentDisabled, match="banned"):
        await asyncio.wait_for(client.wait(), 5)


async def test_a_busy_server_is_tried_again(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    nexus.refusals += [
        {"code": "rate_limited", "message": "later", "retryable": True},
        {"code": "brand_new", "message": "later", "retryable": True},
    ]
    nexus.token_answers.append(TokenAnswer(status=503, body="maintenance"))
    clock.advance(800)
    await nexus.cut()
    for pause in (5, 10, 20, 40):
        timer = await clock.timer(low=pause, high=pause * 1.2)
        clock.advance(timer.seconds)
    await nexus.until(lambda: len(nexus.of("agent_ready")) == 2)


async def test_a_newer_session_ends_the_older_for_good(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    started, cancelled = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await client.connect()
    await nexus.assign("t")
    await started.wait()
    await nexus.hint("superseded", {"sessionId": "newer"})
    with pytest.raises(oblivion.SessionSuperseded, match="newer session"):
        await asyncio.wait_for(client.wait(), 5)
    assert cancelled.is_set()
    assert not client.connected
    assert not clock.timers, "nothing is left that could reconnect"
    assert not nexus.of("task_update")


async def test_without_auto_reconnect_a_lost_connection_ends_the_session(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(auto_reconnect=False)
    await client.connect()
    await nexus.cut()
    with pytest.raises(oblivion.ConnectionLost) as caught:
        await asyncio.wait_for(client.wait(), 5)
    assert caught.value.retryable
    await client.connect()
    assert client.connected


async def test_a_network_cut_without_a_goodbye_is_noticed_and_survived(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    async with dark_proxy(nexus.port) as proxy:
        client = make_client(nexus_url=proxy.url, clock=clock)
        lost: asyncio.Queue[str] = asyncio.Queue()
        client.on_disconnected(lost.put)
        await client.connect()
        await clock.timer(low=30, high=30)
        proxy.go_dark()
        clock.advance(30)
        await clock.timer(low=20, high=20)
        clock.advance(20)
        clock.advance(1)
        assert "no answer to heartbeat" in await asyncio.wait_for(lost.get(), 5)
        proxy.light_up()
        await reconnect(nexus, clock)
        await client.update_status("idle")
        assert len(base_client.connected_clients) == 1, "the library remembers the dead one"
        await client.disconnect()


async def test_an_agent_that_is_thrown_out_politely_comes_back(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    lost: asyncio.Queue[str] = asyncio.Queue()
    client.on_disconnected(lost.put)
    await client.connect()
    await nexus.throw_out()
    assert "server disconnect" in await asyncio.wait_for(lost.get(), 5)
    await reconnect(nexus, clock)
    await client.update_status("idle")


async def test_disconnect_while_away_ends_the_waiting_and_fails_what_waits(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock, timeouts=Timeouts(close=0.5))
    await client.connect()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    calling = asyncio.ensure_future(client.update_status("idle"))
    leaving = asyncio.ensure_future(client.disconnect())
    timer = await clock.timer(low=0.5, high=0.5)
    clock.advance(timer.seconds)
    await asyncio.wait_for(leaving, 5)
    with pytest.raises(oblivion.Disconnected):
        await calling
    await client.wait()
    assert len(nexus.sids) == 1


async def test_a_heartbeat_of_nexus_is_answered_with_its_time(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    await make_client().connect()
    moment = "2026-01-01T10:00:00.123Z"
    await nexus.hint("heartbeat", {"ping": True, "serverTime": moment})
    beat = (await nexus.next("heartbeat")).payload
    assert (beat["ping"], beat["serverTime"], beat["active"]) == (True, moment, [])


async def test_heartbeats_go_out_at_the_interval_that_nexus_named(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    nexus.heartbeat_interval_ms = 7_000
    await make_client(clock=clock).connect()
    for _ in range(3):
        timer = await clock.timer(low=7, high=7)
        clock.advance(timer.seconds)
        await nexus.next("heartbeat")


async def test_a_heartbeat_by_hand_ends_with_the_session(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    beating = asyncio.ensure_future(client.send_heartbeat())
    await client.disconnect()
    with pytest.raises(oblivion.NotConnectedError, match="session has ended"):
        await beating


async def test_a_heartbeat_by_hand_waits_for_the_connection(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    await client.connect()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    beating = asyncio.ensure_future(client.send_heartbeat())
    await reconnect(nexus, clock)
    await asyncio.wait_for(beating, 5)
    assert (await nexus.next("heartbeat")).payload["ping"] is True
