"""How an agent comes in, whichever Nexus it is."""

from typing import Any

import httpx2
import pytest
import socketio

from contract_sides import Hands
from eventually import eventually


async def refusal(url: str, auth: Any) -> Any:
    """Return the data of the ``connect_error`` of a connection that must be refused."""
    client = socketio.AsyncClient(reconnection=False)
    said: list[Any] = []

    async def refused(data: Any = None) -> None:
        said.append(data)

    client.on("connect_error", refused, namespace="/agents")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(url, auth=auth, transports=["websocket"], namespaces=["/agents"])

    async def is_told() -> bool:
        return bool(said)

    await eventually(is_told, what="a connect_error")
    await client.disconnect()
    return said[0]


async def test_a_right_secret_gets_a_bearer_token(hands: Hands) -> None:
    secret = await hands.side.agent("worker")
    async with httpx2.AsyncClient(base_url=hands.side.url) as http:
        credentials = {"client_id": "worker", "client_secret": secret}
        for body in (
            {"data": {"grant_type": "client_credentials", **credentials}},
            {"json": credentials},
        ):
            answer = await http.post("/auth/token", **body)
            said = answer.json()
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert (said["token_type"], said["scope"]) == ("Bearer", "agent")
            assert said["expires_in"] == 900


@pytest.mark.parametrize("client_id", ["worker", "nobody"])
async def test_a_wrong_secret_is_one_answer(hands: Hands, client_id: str) -> None:
    await hands.side.agent("worker")
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "no"}
    async with httpx2.AsyncClient(base_url=hands.side.url) as http:
        answer = await http.post("/auth/token", data=form)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("auth", [None, {}, {"token": "wrong"}])
async def test_without_a_good_token_nobody_comes_in(hands: Hands, auth: Any) -> None:
    said = await refusal(hands.side.url, auth)
    assert said["data"]["code"] == "unauthorized"
    assert said["data"]["retryable"] is False
    assert said["message"] == said["data"]["message"]


async def test_a_token_that_is_too_old_is_told_so(hands: Hands) -> None:
    token = await hands.token()
    await hands.side.pass_time(1_000)
    said = await refusal(hands.side.url, {"token": token})
    assert said["data"]["code"] == "token_expired"


async def test_the_greeting_is_a_bare_object(hands: Hands) -> None:
    agent = await hands.connect()
    (greeting,) = agent.named("connected")
    assert greeting.keys() == {
        "message",
        "agentId",
        "sessionId",
        "serverTime",
        "heartbeatIntervalMs",
        "protocol",
        "epoch",
    }
    assert (greeting["heartbeatIntervalMs"], greeting["protocol"]) == (30_000, 1)


async def test_nothing_is_sent_before_agent_ready(hands: Hands) -> None:
    agent = await hands.connect()
    await hands.side.task()
    await hands.side.wake("worker", "hello")
    await agent.call("heartbeat", {"ping": True})
    assert [name for name, _ in agent.events] == ["connected"]
    await agent.ready()
    await agent.until("wake_up")
    await agent.until("task_assigned")


@pytest.mark.parametrize(
    ("call", "payload"),
    [
        ("heartbeat", {"ping": True}),
        ("status_update", {"status": "idle"}),
        ("claim_task", {"taskId": "t"}),
        ("task_update", {"taskId": "t", "attempt": 1, "status": "DONE"}),
        ("post_message", {"taskId": "t", "text": "hello"}),
        ("tool_request", {"requestId": "r", "tool": "t", "action": "a", "params": {}}),
    ],
)
async def test_calls_need_agent_ready(hands: Hands, call: str, payload: dict[str, Any]) -> None:
    agent = await hands.connect()
    assert (await agent.call(call, payload))["error"]["code"] == "not_ready"


async def test_agent_ready_says_where_the_history_stands(hands: Hands) -> None:
    agent = await hands.connect()
    (greeting,) = agent.named("connected")
    answer = await agent.ready(active=[{"taskId": "gone", "attempt": 3}])
    assert answer == {
        "acknowledged": True,
        "epoch": greeting["epoch"],
        "headSeq": 0,
        "resumed": False,
        "lost": ["gone"],
    }
    again = await agent.ready(epoch=greeting["epoch"])
    assert again["resumed"] is True


async def test_another_protocol_is_refused(hands: Hands) -> None:
    agent = await hands.connect()
    assert (await agent.ready(protocol=2))["error"]["code"] == "protocol_unsupported"


async def test_a_newer_session_takes_over(hands: Hands) -> None:
    older = await hands.ready()
    newer = await hands.ready()
    said = await older.until("superseded")
    assert said["sessionId"] == newer.named("connected")[0]["sessionId"]
    await older.until("disconnect")
    assert "pong" in (await newer.call("heartbeat", {"ping": True}))["payload"]


async def test_what_is_no_call_is_refused(hands: Hands) -> None:
    agent = await hands.ready()
    assert (await agent.call("dance"))["error"]["code"] == "unknown_event"


@pytest.mark.parametrize(
    ("call", "payload"),
    [
        ("agent_ready", {"maxConcurrency": 0}),
        ("status_update", {"status": "bored"}),
        ("claim_task", {}),
        ("task_update", {"taskId": "t", "attempt": 0, "status": "DONE"}),
        ("task_update", {"taskId": "t", "attempt": 1, "status": "DONE", "progress": 2}),
        ("post_message", {"taskId": "t", "text": ""}),
        ("event_ack", {"seqs": [0]}),
    ],
)
async def test_a_wrong_payload_is_refused(hands: Hands, call: str, payload: dict[str, Any]) -> None:
    agent = await hands.ready()
    error = (await agent.call(call, payload))["error"]
    assert error["code"] == "invalid_payload"
    assert error["retryable"] is False


@pytest.mark.parametrize("message", [None, 7, "hello", [], {"payload": {}}])
async def test_what_is_no_envelope_is_refused(hands: Hands, message: Any) -> None:
    agent = await hands.ready()
    answer = await agent.raw_call("heartbeat", message)
    assert answer["error"]["code"] == "invalid_payload"


async def test_a_heartbeat_is_answered_in_an_envelope(hands: Hands) -> None:
    agent = await hands.ready()
    answer = await agent.call("heartbeat", {"ping": True})
    assert answer["type"] == "heartbeat"
    assert answer["payload"].keys() == {"pong", "serverTime"}
    assert answer["payload"]["pong"] is True
