"""How an agent comes in, whichever Nexus it is."""

from typing import Any

import httpx2
import pytest
import socketio

from contract_sides import Hands
from eventually import eventually

NOT_READY: list[tuple[str, dict[str, Any]]] = [
    ("heartbeat", {"ping": True}),
    ("status_update", {"status": "idle"}),
    ("claim_task", {"taskId": "t"}),
    ("task_update", {"taskId": "t", "attempt": 1, "status": "DONE"}),
    ("post_message", {"taskId": "t", "text": "hello"}),
    ("tool_request", {"requestId": "r", "tool": "t", "action": "a", "params": {}}),
]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("agent_ready", {"maxConcurrency": 0}),
    ("status_update", {"status": "bored"}),
    ("claim_task", {}),
    ("task_update", {"taskId": "t", "attempt": 0, "status": "DONE"}),
    ("task_update", {"taskId": "t", "attempt": 1, "status": "DONE", "progress": 2}),
    ("post_message", {"taskId": "t", "text": ""}),
    ("event_ack", {"seqs": [0]}),
]


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
        form = {"grant_type": "client_credentials", **credentials}
        answers = [
            await http.post("/auth/token", data=form),
            await http.post("/auth/token", json=credentials),
        ]
        for answer in answers:
            said = answer.json()
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert (said["token_type"], said["scope"]) == ("Bearer", "agent")
            assert said["expires_in"] == 900


async def test_a_wrong_secret_and_an_unknown_client_are_one_answer(hands: Hands) -> None:
    await hands.side.agent("worker")
    answers = []
    async with httpx2.AsyncClient(base_url=hands.side.url) as http:
        for client_id in ("worker", "nobody"):
            credentials = {"client_id": client_id, "client_secret": "no"}
            answers.append(await http.post("/auth/token", json=credentials))
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"] == "invalid_client"
    assert answers[0].json() == answers[1].json()


async def test_without_a_good_token_nobody_comes_in(hands: Hands) -> None:
    for auth in (None, {}, {"token": "wrong"}):
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


async def test_calls_need_agent_ready(hands: Hands) -> None:
    agent = await hands.connect()
    for call, payload in NOT_READY:
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


async def test_a_wrong_payload_is_refused(hands: Hands) -> None:
    agent = await hands.ready()
    for call, payload in WRONG:
        error = (await agent.call(call, payload))["error"]
        assert (error["code"], error["retryable"]) == ("invalid_payload", False), call


async def test_what_is_no_envelope_is_refused(hands: Hands) -> None:
    agent = await hands.ready()
    messages: list[Any] = [None, 7, "hello", [], {"payload": {}}]
    for message in messages:
        answer = await agent.raw_call("heartbeat", message)
        assert answer["error"]["code"] == "invalid_payload"


async def test_a_heartbeat_is_answered_in_an_envelope(hands: Hands) -> None:
    agent = await hands.ready()
    answer = await agent.call("heartbeat", {"ping": True})
    assert answer["type"] == "heartbeat"
    assert answer["payload"].keys() == {"pong", "serverTime"}
    assert answer["payload"]["pong"] is True
