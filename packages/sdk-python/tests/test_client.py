"""Where a client's life is tested: construct, connect, wait, disconnect, connect again."""

import asyncio
import socket

import pytest

import oblivion
from hand_clock import HandClock
from oblivion import OblivionClient
from scripted_nexus import MakeClient, ScriptedNexus, TokenAnswer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_connect_returns_when_the_agent_is_ready(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    before = (client.connected, client.agent_id)
    await client.connect()
    assert before == (False, None)
    assert (client.connected, client.agent_id) == (True, "agent-1")
    assert len(nexus.of("agent_ready")) == 1


async def test_the_token_travels_in_auth_and_comes_from_a_form(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.token_answers.append(TokenAnswer(body={"access_token": "t-1", "expires_in": 900}))
    await make_client().connect()
    assert nexus.tokens == ["t-1"]
    assert nexus.token_requests == [
        {"grant_type": "client_credentials", "client_id": "my-agent", "client_secret": "s3cret"}
    ]


async def test_the_agent_announces_itself(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client(capabilities=["python", "review", "python"], max_concurrency=3)

    @client.on_task_assigned
    async def handle(payload: oblivion.TaskAssignedPayload) -> None:
        """Do nothing."""

    await client.connect()
    ready = (await nexus.next("agent_ready")).payload
    assert ready["capabilities"] == ["python", "review"]
    assert ready["maxConcurrency"] == 3
    assert (ready["protocol"], ready["acks"], ready["acceptsTasks"]) == (1, True, True)
    assert (ready["lastSeq"], ready["active"]) == (0, [])
    assert ready["sdk"].startswith("python/")
    assert ready["instanceId"]


async def test_an_agent_without_a_task_handler_takes_no_tasks(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    await make_client().connect()
    assert (await nexus.next("agent_ready")).payload["acceptsTasks"] is False


async def test_an_unreachable_nexus_is_its_own_error_at_once() -> None:
    client = OblivionClient(f"http://127.0.0.1:{free_port()}", "my-agent", "s3cret")
    with pytest.raises(oblivion.NexusUnreachable, match="cannot be reached") as caught:
        await client.connect()
    assert caught.value.retryable


async def test_something_that_is_no_nexus_is_called_so(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.token_answers.append(TokenAnswer(status=404, body={"hello": "world"}))
    with pytest.raises(oblivion.NexusUnreachable, match="nexus_url"):
        await make_client().connect()


@pytest.mark.parametrize(
    ("description", "error"),
    [
        ("unknown client or bad secret", oblivion.AuthenticationFailed),
        ("the agent is pending approval", oblivion.AgentPending),
        ("the agent was rejected: no", oblivion.AgentRejected),
        ("the agent is disabled", oblivion.AgentDisabled),
    ],
)
async def test_refused_credentials_are_their_own_errors_at_once(
    nexus: ScriptedNexus,
    make_client: MakeClient,
    description: str,
    error: type[oblivion.ConnectRefused],
) -> None:
    body = {"error": "invalid_client", "error_description": description}
    nexus.token_answers.append(TokenAnswer(status=401, body=body))
    with pytest.raises(oblivion.ConnectRefused, match=description) as caught:
        await make_client().connect()
    assert type(caught.value) is error
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("agent_pending", oblivion.AgentPending),
        ("agent_rejected", oblivion.AgentRejected),
        ("agent_disabled", oblivion.AgentDisabled),
        ("protocol_unsupported", oblivion.ProtocolUnsupported),
        ("something_new", oblivion.ConnectRefused),
    ],
)
async def test_a_refused_socket_raises_what_its_code_says(
    nexus: ScriptedNexus, make_client: MakeClient, code: str, error: type[oblivion.ConnectRefused]
) -> None:
    nexus.refusals.append({"code": code, "message": "because", "retryable": False})
    with pytest.raises(oblivion.ConnectRefused, match="because") as caught:
        await make_client().connect()
    assert type(caught.value) is error
    assert caught.value.code == code


async def test_another_protocol_version_is_refused(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.greeting_changes = {"protocol": 2}
    with pytest.raises(oblivion.ProtocolUnsupported, match="protocol 2"):
        await make_client().connect()


async def test_a_greeting_that_cannot_be_read_is_a_violation(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.greeting_changes = {"agentId": None}
    with pytest.raises(oblivion.ProtocolViolation, match="connect"):
        await make_client().connect()


async def test_a_server_that_never_greets_is_given_up(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    nexus.greets = False
    connecting = asyncio.ensure_future(make_client(clock=clock).connect())
    await nexus.until(lambda: bool(nexus.sids))
    await clock.timer(low=7, high=7)
    clock.advance(7)
    with pytest.raises(oblivion.NexusUnreachable, match="within 7 s"):
        await connecting


async def test_a_refused_announcement_raises(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    refusal = {"error": {"code": "protocol_unsupported", "message": "too old"}}
    nexus.answers["agent_ready"] = lambda _call: refusal
    with pytest.raises(oblivion.ProtocolUnsupported, match="too old"):
        await make_client().connect()


async def test_an_expired_token_is_replaced_at_once(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.refusals.append({"code": "token_expired", "message": "old", "retryable": True})
    client = make_client()
    await client.connect()
    assert client.connected
    assert len(set(nexus.tokens)) == 2


async def test_connecting_twice_is_refused(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(oblivion.AlreadyConnectedError, match="one client per agent"):
        await client.connect()
    assert len(nexus.sids) == 1


async def test_after_a_failed_connect_another_one_may_succeed(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.refusals.append({"code": "server_draining", "message": "later", "retryable": True})
    client = make_client()
    with pytest.raises(oblivion.ConnectRefused) as caught:
        await client.connect()
    assert caught.value.retryable
    client.on_connected(lambda: None)
    await client.connect()
    assert client.connected


async def test_a_client_may_connect_again_after_disconnect(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    await client.disconnect()
    gone = client.connected
    await client.connect()
    assert (gone, client.connected) == (False, True)
    first, *_, last = nexus.of("agent_ready")
    assert first.payload["instanceId"] != last.payload["instanceId"], (
        "what the earlier session held nobody works on any more, and Nexus must know"
    )


async def test_wait_returns_after_disconnect(make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    waiting = asyncio.ensure_future(client.wait())
    await client.disconnect()
    await asyncio.wait_for(waiting, 5)


async def test_who_gives_up_waiting_does_not_end_the_session(make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.wait(), 0.01)
    assert client.connected


async def test_disconnect_without_a_connection_does_nothing(make_client: MakeClient) -> None:
    client = make_client()
    await client.disconnect()
    await client.connect()
    await client.disconnect()
    await client.disconnect()


async def test_disconnect_while_connecting_ends_the_attempt(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    nexus.greets = False
    client = make_client()
    connecting = asyncio.ensure_future(client.connect())
    await nexus.until(lambda: bool(nexus.sids))
    await client.disconnect()
    with pytest.raises(oblivion.Disconnected):
        await connecting


async def test_async_with_connects_and_disconnects(make_client: MakeClient) -> None:
    async with make_client() as client:
        assert client.connected
    assert not client.connected


async def test_wait_before_connect_names_connect(make_client: MakeClient) -> None:
    with pytest.raises(oblivion.NotConnectedError, match=r"connect\(\)"):
        await make_client().wait()


@pytest.mark.parametrize("moment", ["before connect", "after disconnect"])
async def test_calls_need_a_connection(make_client: MakeClient, moment: str) -> None:
    client = make_client()
    if moment == "after disconnect":
        await client.connect()
        await client.disconnect()
    for call in (
        client.update_status("idle"),
        client.claim_task("t"),
        client.complete_task("t"),
        client.fail_task("t", "why"),
        client.release_task("t"),
        client.block_task("t"),
        client.report_progress("t", 0.5),
        client.post_message("t", "hello"),
        client.ask_human("t", "what?"),
        client.get_thread("t"),
        client.list_tasks(),
        client.get_task("t"),
        client.request_tool("github", "create_pr"),
        client.send_heartbeat(),
    ):
        with pytest.raises(oblivion.NotConnectedError, match=r"connect\(\)"):
            await call


async def test_connection_handlers_are_told(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    told: list[str] = []
    client = make_client()

    @client.on_connected
    async def connected(payload: oblivion.ConnectedPayload) -> None:
        told.append(payload.session_id)

    @client.on_disconnected
    def disconnected(reason: str) -> None:
        told.append(reason)

    await client.connect()
    await client.disconnect()
    assert told == [nexus.sid, "the client was disconnected"]


async def test_connection_handlers_may_take_no_parameter(make_client: MakeClient) -> None:
    told: list[str] = []
    client = make_client()

    @client.on_connected
    def connected() -> None:
        told.append("connected")

    @client.on_disconnected
    async def disconnected() -> None:
        told.append("disconnected")

    async with client:
        pass
    assert told == ["connected", "disconnected"]


async def test_a_handler_may_disconnect_its_own_client(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client(drain_timeout=30.0)

    @client.on_task_assigned
    async def handle(payload: oblivion.TaskAssignedPayload) -> str:
        await client.disconnect()
        return "last words"

    await client.connect()
    await nexus.assign("t")
    await asyncio.wait_for(client.wait(), 5)
    assert (await nexus.next("task_update")).payload["result"] == "last words"


async def test_the_last_acknowledgement_leaves_before_the_client_does(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_wake_up
    async def wake(payload: oblivion.WakeUpPayload) -> None:
        await client.disconnect()

    await client.connect()
    sent = await nexus.send("wake_up", {"reason": "manual"})
    await asyncio.wait_for(client.wait(), 5)
    await nexus.acknowledged(sent["seq"])


async def test_the_secret_and_the_token_appear_nowhere(
    nexus: ScriptedNexus, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    nexus.token_answers.append(TokenAnswer(body={"access_token": "jwt-1", "expires_in": 900}))
    client = make_client(client_secret="top-secret-value")
    await client.connect()
    await nexus.cut()
    await client.disconnect()
    seen = caplog.text + repr(client) + repr(vars(client)) + str(client)
    assert "connected" in seen
    assert "top-secret-value" not in seen
    assert "jwt-1" not in seen
