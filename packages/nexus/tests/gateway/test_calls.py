"""What agents in any language may say, and what they are answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.delivery import LiveSession
from nexus.delivery.session import WINDOW
from nexus.domain.limits import Limits
from nexus.gateway import calls, connection
from nexus.services import installation, retention
from nexus.store import Tx, open_database
from nexus.store.clock import wall_clock
from oblivion.protocol import EventType
from socket_agent import SocketAgent, socket_agent, token_for


@pytest.fixture
async def nexus(tmp_path: Path, server_database: str) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data", database_url=server_database) as nexus:
        await nexus.admin.team()
        await nexus.admin.project("race", group="team", policy="claim")
        await nexus.admin.agent("a")
        await nexus.admin.agent("b")
        yield nexus


@pytest.fixture
async def agent(nexus: LiveNexus) -> AsyncIterator[SocketAgent]:
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        yield agent


@pytest.fixture
async def other(nexus: LiveNexus) -> AsyncIterator[SocketAgent]:
    token = await token_for(nexus.url, "b", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        yield agent


async def test_nothing_but_the_greeting_is_sent_before_agent_ready(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await nexus.admin.post("/observer/agents/a/wake", message="early")
    refused = await agent.call("claim_task", {"taskId": "x"})
    assert refused["error"]["code"] == "not_ready"
    assert [name for name, _ in agent.events] == ["connected"]
    await agent.ready()
    assert (await agent.until("wake_up"))["message"] == "early"


async def test_a_task_goes_from_assignment_to_done(nexus: LiveNexus, agent: SocketAgent) -> None:
    ack = await agent.ready(capabilities=["python"], maxConcurrency=2)
    assert ack["acknowledged"] is True
    assert ack["lost"] == []
    task = await nexus.admin.task("Do it", priority=2, metadata={"k": None})
    payload = await agent.until("task_assigned")
    assert (payload["taskId"], payload["attempt"], payload["priority"]) == (task["id"], 1, 2)
    (envelope,) = agent.named("task_assigned")
    assert envelope["seq"] == 1
    assert envelope["id"]
    assert payload["metadata"] == {"k": None}
    started = {"status": "working", "taskId": task["id"], "message": "on it"}
    assert await agent.call("status_update", started) == {"acknowledged": True}
    await nexus.admin.until(task["id"], "IN_PROGRESS")
    update = {"taskId": task["id"], "attempt": 1, "status": "DONE", "result": {"n": 1}}
    answer = await agent.call("task_update", update)
    assert answer["task"] == {"id": task["id"], "status": "DONE", "attempt": 1}
    assert (await nexus.admin.get(f"/tasks/{task['id']}"))["result"] == {"n": 1}


async def test_a_call_sent_again_is_answered_the_same_without_a_second_effect(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready()
    task = await nexus.admin.task()
    await agent.until("task_assigned")
    message = {"taskId": task["id"], "text": "only once"}
    first = await agent.call("post_message", message, id_="call-1")
    assert await agent.call("post_message", message, id_="call-1") == first
    thread = await nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert [one["text"] for one in thread["messages"]] == ["only once"]


async def test_a_message_sent_again_in_another_envelope_stands_once_in_the_thread(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready()
    task = await nexus.admin.task()
    await agent.until("task_assigned")
    message = {"taskId": task["id"], "text": "only once", "clientMessageId": "message-1"}
    first = await agent.call("post_message", message, id_="call-1")
    assert await agent.call("post_message", message, id_="call-2") == first
    assert await agent.call("post_message", message) == first
    other = {**message, "text": "other words under a careless id"}
    assert await agent.call("post_message", other) != first
    thread = await nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert [one["text"] for one in thread["messages"]] == ["only once", other["text"]]


async def test_events_come_in_order_and_again_until_they_are_acknowledged(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready()
    for number in range(3):
        await nexus.admin.post("/observer/agents/a/wake", message=str(number))
    await agent.until("wake_up", count=3)
    assert [one["seq"] for one in agent.named("wake_up")] == [1, 2, 3]
    await agent.call("event_ack", {"seqs": [1, 3]})
    await agent.drop()
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as again:
        await again.ready()
        await again.until("wake_up")
        await again.call("heartbeat", {"ping": True})
        assert [one["payload"]["message"] for one in again.named("wake_up")] == ["1"]


async def test_for_a_client_without_acks_writing_to_the_socket_counts(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready(acks=False)
    await nexus.admin.post("/observer/agents/a/wake", message="once")
    await agent.until("wake_up")
    result = await agent.call(
        "tool_request", {"requestId": "r", "tool": "nope", "action": "x", "params": {}}
    )
    assert (result["type"], result["payload"]["success"]) == ("tool_result", False)
    await agent.drop()
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as again:
        await again.ready(acks=False)
        await again.call("heartbeat", {"ping": True})
        assert again.named("wake_up") == []


async def test_a_claim_race_has_one_winner_and_the_other_is_told_who(
    nexus: LiveNexus, agent: SocketAgent, other: SocketAgent
) -> None:
    await agent.ready()
    await other.ready()
    task = await nexus.admin.task("Race", project="race")
    assert (await agent.until("task_available"))["taskId"] == task["id"]
    await other.until("task_available")
    claim = {"taskId": task["id"]}
    answers = await asyncio.gather(agent.call("claim_task", claim), other.call("claim_task", claim))
    assert sorted(answer["success"] for answer in answers) == [False, True]
    winner, loser = (agent, other) if answers[0]["success"] else (other, agent)
    assert (await winner.until("task_assigned"))["attempt"] == 1
    told = await loser.until("task_claimed")
    assert told["taskId"] == task["id"]
    assert told["claimedByAgentName"] == ("A" if winner is agent else "B")
    assert "error" in next(answer for answer in answers if not answer["success"])


async def test_a_task_that_waits_is_offered_again_to_a_newer_session(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready()
    task = await nexus.admin.task("Race", project="race")
    await agent.until("task_available")
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as newer:
        await newer.ready()
        assert (await newer.until("task_available"))["taskId"] == task["id"]


async def test_a_history_that_went_back_is_announced_as_a_gap(agent: SocketAgent) -> None:
    ack = await agent.ready()
    await agent.ready(epoch=ack["epoch"], lastSeq=7)
    assert (await agent.until("gap"))["toSeq"] == ack["headSeq"]
    await agent.ready(epoch="another")
    await agent.until("gap", count=2)


async def test_what_was_dropped_before_the_agent_came_is_announced_before_the_rest(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    for number in range(3):
        await nexus.admin.post("/observer/agents/b/wake", message=str(number))
    store = nexus.serving.nexus.platform.store
    await store.write(retention.prune, Limits(most_unheard=1))
    async with socket_agent(nexus.url, await token_for(nexus.url, "b", AGENT_SECRET)) as late:
        ack = await late.ready()
        assert (await late.until("wake_up"))["message"] == "2"
    assert [name for name, _ in late.events[:3]] == ["connected", "gap", "wake_up"]
    (gap,) = late.named("gap")
    assert gap["payload"] == {"epoch": ack["epoch"], "fromSeq": 1, "toSeq": 2}
    assert set(ack) == {"acknowledged", "epoch", "headSeq", "resumed", "lost"}


async def test_an_agent_that_reads_while_its_events_are_dropped_is_told_before_the_rest(
    nexus: LiveNexus, agent: SocketAgent, tmp_path: Path, server_database: str
) -> None:
    """Another node drops them, so that this one does not hear of it at once."""
    await agent.ready()
    for number in range(WINDOW + 9):
        await nexus.admin.post("/observer/agents/a/wake", message=str(number))
    await agent.until("wake_up", count=WINDOW)
    database = open_database(server_database or tmp_path / "data" / "nexus.db")
    with database.writer.begin() as connection:
        retention.prune(Tx(connection, wall_clock()), Limits(most_unheard=5))
    database.close()
    await agent.send("event_ack", {"type": "event_ack", "payload": {"seqs": [1]}})
    await agent.until("disconnect")
    assert [message["seq"] for message in agent.named("wake_up")] == list(range(1, WINDOW + 1))
    async with socket_agent(nexus.url, await token_for(nexus.url, "a", AGENT_SECRET)) as again:
        await again.ready(lastSeq=WINDOW)
        await again.until("wake_up", count=5)
    (gap,) = again.named("gap")
    assert (gap["payload"]["fromSeq"], gap["payload"]["toSeq"]) == (WINDOW + 1, WINDOW + 4)
    assert again.named("wake_up")[0]["seq"] == WINDOW + 5


async def test_after_a_restored_backup_an_agent_that_was_further_is_told_so(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    before = (await agent.ready())["epoch"]
    await nexus.serving.nexus.platform.store.write(installation.begin_epoch)
    ack = await agent.ready(epoch=before, lastSeq=7)
    assert (ack["resumed"], ack["epoch"] == before) == (False, False)
    assert (await agent.until("gap"))["epoch"] == ack["epoch"]


async def test_a_gap_spares_the_events_that_are_still_to_come(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    for number in range(3):
        await nexus.admin.post("/observer/agents/a/wake", message=str(number))
    await agent.ready(epoch="another", lastSeq=9)
    assert (await agent.until("gap"))["toSeq"] == 0
    await agent.until("wake_up", count=3)


async def test_a_heartbeat_is_answered_by_a_pong_envelope(agent: SocketAgent) -> None:
    await agent.ready()
    pong = await agent.call("heartbeat", {"ping": True})
    assert pong["type"] == "heartbeat"
    assert pong["payload"]["pong"] is True


async def test_heartbeats_of_idle_agents_need_no_transaction_each(
    agent: SocketAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[object] = []
    noted: list[object] = []

    def carry_out(tx: Tx, call: calls.Call, *more: Any) -> Any:
        carried_out.append(call)
        return calls.carry_out(tx, call, *more)

    def still_there(session: LiveSession) -> None:
        noted.append(session)

    await agent.ready()
    monkeypatch.setattr(connection, "carry_out", carry_out)
    monkeypatch.setattr(LiveSession, "still_there", still_there)
    beats = [agent.call("heartbeat", {"ping": True, "active": []}) for _ in range(100)]
    assert all(pong["payload"]["pong"] is True for pong in await asyncio.gather(*beats))
    assert (carried_out, len(noted)) == ([], 100)
    assert (await agent.call("heartbeat", {"ping": True}))["payload"]["pong"] is True
    assert (carried_out, len(noted)) == ([calls.CALLS[EventType.HEARTBEAT]], 100)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"timestamp": "yesterday", "payload": {"ping": True, "active": []}}, "timestamp"),
        ({"id": 7, "payload": {"ping": True, "active": []}}, "id"),
        ({"id": "\x00", "payload": {"ping": True, "active": []}}, "NUL"),
        ({"payload": {"ping": "perhaps", "active": []}}, "ping"),
        ({"payload": {"ping": True, "active": 3}}, "active"),
    ],
)
async def test_a_heartbeat_that_is_not_valid_is_refused(
    agent: SocketAgent, message: dict[str, object], problem: str
) -> None:
    await agent.ready()
    answer = await agent.raw_call("heartbeat", {"type": "heartbeat", **message})
    assert answer["error"]["code"] == "invalid_payload"
    assert problem in answer["error"]["message"]


async def test_a_heartbeat_before_agent_ready_is_refused(agent: SocketAgent) -> None:
    answer = await agent.call("heartbeat", {"ping": True, "active": []})
    assert answer["error"]["code"] == "not_ready"


async def test_a_newer_session_supersedes_the_older(nexus: LiveNexus, agent: SocketAgent) -> None:
    await agent.ready()
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as newer:
        payload = await agent.until("superseded")
        (greeting,) = newer.named("connected")
        assert payload["sessionId"] == greeting["sessionId"]
        await agent.until("disconnect")


async def test_an_admin_can_cut_a_session(nexus: LiveNexus, agent: SocketAgent) -> None:
    await agent.ready()
    await nexus.admin.post("/observer/agents/a/disconnect")
    await agent.until("disconnect")
    assert (await nexus.admin.get("/observer/agents/a"))["isConnected"] is False


async def test_a_stopping_server_says_when_to_come_back(
    nexus: LiveNexus, agent: SocketAgent
) -> None:
    await agent.ready()
    nexus.serving.stop()
    assert (await agent.until("server_draining"))["reconnectAfterMs"] >= 0


@pytest.mark.parametrize(
    ("type_", "payload", "says"),
    [
        ("status_update", {"status": "dancing"}, "status"),
        ("status_update", {}, "status"),
        ("task_update", {"taskId": "x", "status": "DONE"}, "attempt"),
        ("task_update", {"taskId": "x", "attempt": 0, "status": "DONE"}, "attempt"),
        ("task_update", {"taskId": "x", "attempt": 1, "status": "FLYING"}, "status"),
        ("task_update", {"taskId": "x", "attempt": 1, "status": "DONE", "progress": 2}, "progress"),
        ("post_message", {"taskId": "x", "text": ""}, "text"),
        ("claim_task", {"taskId": 7}, "taskId"),
        ("event_ack", {"seqs": ["x"]}, "seqs"),
        ("agent_ready", {"maxConcurrency": 0}, "maxConcurrency"),
        ("tool_request", {"requestId": "r"}, "tool"),
    ],
)
async def test_a_wrong_payload_is_refused_by_the_name_of_its_field(
    agent: SocketAgent, type_: str, payload: dict[str, Any], says: str
) -> None:
    await agent.ready()
    error = (await agent.call(type_, payload))["error"]
    assert error["code"] == "invalid_payload"
    assert says in error["message"]


@pytest.mark.parametrize("message", ["text", 7, [1, 2], None, {"payload": "no"}, {"type": 3}])
async def test_what_is_no_envelope_is_refused(agent: SocketAgent, message: object) -> None:
    await agent.ready()
    answer = await agent.raw_call("heartbeat", message)
    assert answer["error"]["code"] == "invalid_payload"


async def test_an_unknown_call_is_named(agent: SocketAgent) -> None:
    error = (await agent.call("make_coffee"))["error"]
    assert (error["code"], "make_coffee" in error["message"]) == ("unknown_event", True)


async def test_of_a_long_unknown_name_only_the_beginning_is_repeated(agent: SocketAgent) -> None:
    error = (await agent.call("x" * 50_000))["error"]
    assert error["code"] == "unknown_event"
    assert len(error["message"]) < 200


async def test_an_unknown_protocol_is_refused(agent: SocketAgent) -> None:
    error = (await agent.ready(protocol=2))["error"]
    assert error["code"] == "protocol_unsupported"


@pytest.mark.parametrize("type_", ["post_message", "claim_task", "task_update"])
async def test_an_unknown_task_is_said_to_be_unknown(agent: SocketAgent, type_: str) -> None:
    await agent.ready()
    payload = {"taskId": "nope", "text": "x", "attempt": 1, "status": "DONE"}
    answer = await agent.call(type_, payload)
    assert "nope" in str(answer["error"])


async def test_a_payload_nested_too_deep_or_with_nul_characters_is_refused(
    agent: SocketAgent,
) -> None:
    await agent.ready()
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    for result in (deep, {"a": "\x00"}):
        update = {"taskId": "t", "attempt": 1, "status": "DONE", "result": result}
        assert (await agent.call("task_update", update))["error"]["code"] == "invalid_payload"


async def test_unknown_fields_are_ignored(agent: SocketAgent) -> None:
    assert (await agent.ready(favouriteColour="blue"))["acknowledged"] is True


async def test_a_binary_packet_ends_the_connection_and_hurts_nobody_else(
    nexus: LiveNexus, agent: SocketAgent, other: SocketAgent
) -> None:
    await agent.ready()
    await agent.send("post_message", {"payload": {"blob": b"\x00" * 100}})
    await agent.until("disconnect")
    assert (await other.ready())["acknowledged"] is True


async def test_a_frame_beyond_the_bound_ends_the_connection(
    nexus: LiveNexus, agent: SocketAgent, other: SocketAgent
) -> None:
    await agent.ready()
    await agent.send("post_message", {"payload": {"taskId": "x", "text": "y" * 300_000}})
    await agent.until("disconnect")
    assert (await other.ready())["acknowledged"] is True
