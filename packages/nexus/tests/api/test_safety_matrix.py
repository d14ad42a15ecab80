"""Every route and every socket event, for every role and a second tenant: who may, and who may not.

The routes and events are those of the server itself: one that nobody has classified here fails.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import socketio
from starlette.routing import Route

from letters import BOX, letter
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus
from nexus.domain.tool_calls import CallState
from nexus.gateway.calls import CALLS
from nexus.services import agents, deliveries, installation, tenants
from nexus.services.secrets import hash_secret
from nexus.services.tenants import CreateTenant
from nexus.store import Tx
from nexus.store.tool_tables import tool_calls
from oblivion.protocol import EventType
from socket_agent import SocketAgent, socket_agent, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARK = "mark-of-the-first-tenant"
"""Stands in every name and text of the first tenant; the second must never read it."""

ANYONE = frozenset({"nobody", "agent", "viewer", "admin"})
SIGNED_IN = frozenset({"agent", "viewer", "admin"})
PEOPLE = frozenset({"viewer", "admin"})
SPEAKERS = frozenset({"agent", "admin"})
ADMINS = frozenset({"admin"})
AGENTS = frozenset({"agent"})
OTHERWISE = frozenset({"otherwise"})
"""For whoever proves itself in another way than by an access token; tests of their own say how."""

ROUTES: dict[str, frozenset[str]] = {
    "GET /api": ANYONE,
    "HEAD /api": ANYONE,
    "GET /api-json": ANYONE,
    "HEAD /api-json": ANYONE,
    "GET /livez": ANYONE,
    "HEAD /livez": ANYONE,
    "GET /readyz": ANYONE,
    "HEAD /readyz": ANYONE,
    "GET /metrics": ANYONE,
    "GET /.well-known/oauth-authorization-server": ANYONE,
    "POST /auth/token": OTHERWISE,
    "POST /auth/revoke": OTHERWISE,
    "POST /auth/register": OTHERWISE,
    "POST /agents/register": OTHERWISE,
    "GET /auth/registration-status": OTHERWISE,
    "POST /webhooks/slack": OTHERWISE,
    "POST /webhooks/clickup": OTHERWISE,
    "POST /webhooks/github": OTHERWISE,
    "GET /tasks/available": AGENTS,
    "GET /tasks/claimed": AGENTS,
    "POST /tasks/{task_id}/claim": AGENTS,
    "GET /tasks/{task_id}": SIGNED_IN,
    "GET /tasks/by-id/{task_id}": SIGNED_IN,
    "GET /tasks/{task_id}/slack-thread": SIGNED_IN,
    "PATCH /tasks/{task_id}/status": SPEAKERS,
    "POST /tasks/{task_id}/slack-reply": SPEAKERS,
    "GET /groups": PEOPLE,
    "GET /groups/{group_id}": PEOPLE,
    "GET /groups/{group_id}/members": PEOPLE,
    "POST /groups": ADMINS,
    "PATCH /groups/{group_id}": ADMINS,
    "DELETE /groups/{group_id}": ADMINS,
    "POST /groups/{group_id}/members": ADMINS,
    "DELETE /groups/{group_id}/members/{agent_id}": ADMINS,
    "GET /projects": PEOPLE,
    "GET /projects/{project_id}": PEOPLE,
    "GET /projects/{project_id}/stats": PEOPLE,
    "POST /projects": ADMINS,
    "PATCH /projects/{project_id}": ADMINS,
    "DELETE /projects/{project_id}": ADMINS,
    "GET /observer/stats": PEOPLE,
    "GET /observer/activity": PEOPLE,
    "GET /observer/deliveries": PEOPLE,
    "GET /observer/deliveries/counts": PEOPLE,
    "GET /observer/agents": PEOPLE,
    "GET /observer/agents/{agent_id}": PEOPLE,
    "GET /observer/slack": PEOPLE,
    "GET /observer/stop-all": PEOPLE,
    "GET /observer/tasks": PEOPLE,
    "GET /observer/agents/pending": ADMINS,
    "GET /observer/agents/pending/count": ADMINS,
    "GET /observer/audit": ADMINS,
    "GET /observer/clients": ADMINS,
    "GET /observer/registration-tokens": ADMINS,
    "POST /observer/agents": ADMINS,
    "PATCH /observer/agents/{agent_id}": ADMINS,
    "POST /observer/agents/approve": ADMINS,
    "POST /observer/agents/{agent_id}/approve": ADMINS,
    "POST /observer/agents/{agent_id}/reject": ADMINS,
    "POST /observer/agents/{agent_id}/wake": ADMINS,
    "POST /observer/agents/{agent_id}/disconnect": ADMINS,
    "POST /observer/agents/{agent_id}/logout": ADMINS,
    "POST /observer/agents/{agent_id}/ban": ADMINS,
    "POST /observer/agents/{agent_id}/unban": ADMINS,
    "POST /observer/agents/{agent_id}/rotate-secret": ADMINS,
    "POST /observer/clients": ADMINS,
    "DELETE /observer/clients/{client_id}": ADMINS,
    "POST /observer/registration-tokens": ADMINS,
    "DELETE /observer/registration-tokens/{token_id}": ADMINS,
    "POST /observer/deliveries/{delivery_id}/retry": ADMINS,
    "POST /observer/tasks": ADMINS,
    "PATCH /observer/tasks/{task_id}": ADMINS,
    "POST /observer/tasks/{task_id}/cancel": ADMINS,
    "POST /observer/tasks/{task_id}/retry": ADMINS,
    "POST /observer/tasks/{task_id}/messages": ADMINS,
    "POST /observer/slack/channels": ADMINS,
    "POST /observer/slack/invite": ADMINS,
    "POST /observer/slack/agents/{agent_id}/resume": ADMINS,
    "GET /tools": AGENTS,
    "GET /observer/tools": PEOPLE,
    "GET /observer/tools/rules": PEOPLE,
    "GET /observer/tools/calls": ADMINS,
    "GET /observer/approvals": ADMINS,
    "POST /observer/tools/rules": ADMINS,
    "DELETE /observer/tools/rules/{rule_id}": ADMINS,
    "POST /observer/approvals/{approval_id}/approve": ADMINS,
    "POST /observer/approvals/{approval_id}/deny": ADMINS,
    "GET /observer/secrets": ADMINS,
    "POST /observer/secrets": ADMINS,
    "DELETE /observer/secrets/{name}": ADMINS,
    "POST /observer/stop-all": ADMINS,
    "POST /observer/resume-all": ADMINS,
}

BODIES: dict[str, dict[str, Any]] = {
    "POST /groups": {"name": "G", "slug": "made-by-{role}"},
    "PATCH /groups/{group_id}": {"name": "Taken over"},
    "POST /groups/{group_id}/members": {"agentId": "{agent_id}"},
    "POST /projects": {"groupId": "{group_id}", "name": "P", "slug": "p"},
    "PATCH /projects/{project_id}": {"name": "Taken over"},
    "POST /observer/slack/channels": {"ownerId": "{group_id}", "channel": "general"},
    "POST /observer/slack/invite": {"ownerId": "{group_id}", "emails": ["spy@example.com"]},
    "POST /observer/agents": {"name": "A", "clientId": "spy-{role}", "groupIds": ["{group_id}"]},
    "PATCH /observer/agents/{agent_id}": {"name": "Taken over"},
    "POST /observer/agents/approve": {"agentIds": ["{agent_id}"]},
    "POST /observer/registration-tokens": {"groupId": "{group_id}"},
    "POST /observer/clients": {"clientId": "client-of-{role}"},
    "POST /observer/tools/rules": {"tools": ["*"], "groups": ["no-such-group"]},
    "POST /observer/secrets": {"name": "of-{role}", "secret": "a-secret-of-{role}"},
    "POST /observer/tasks": {"projectId": "{project_id}", "title": "T"},
    "PATCH /observer/tasks/{task_id}": {"title": "Taken over"},
    "POST /observer/tasks/{task_id}/messages": {"text": "hello"},
    "POST /tasks/{task_id}/slack-reply": {"message": "hello"},
    "PATCH /tasks/{task_id}/status": {"status": "CANCELLED"},
}
"""What has to be said; names in braces become ids."""

EACH_ON_ITS_OWN = {"POST /observer/agents/approve"}
"""Answers 200 and says of each id that there is no such thing."""

EVENTS: dict[EventType, dict[str, Any]] = {
    EventType.AGENT_READY: {
        "version": "1",
        "acks": True,
        "active": [{"taskId": "T", "attempt": 1}],
    },
    EventType.HEARTBEAT: {"ping": True, "active": [{"taskId": "T", "attempt": 1}]},
    EventType.STATUS_UPDATE: {"status": "working", "taskId": "T"},
    EventType.CLAIM_TASK: {"taskId": "T"},
    EventType.TASK_UPDATE: {"taskId": "T", "attempt": 1, "status": "DONE"},
    EventType.POST_MESSAGE: {"taskId": "T", "text": "hello", "clientMessageId": "m"},
    EventType.THINK: {"taskId": "T", "thoughts": [{"text": "hm"}]},
    EventType.TOOL_REQUEST: {
        "requestId": "r",
        "tool": "t",
        "action": "a",
        "params": {},
        "taskId": "T",
    },
    EventType.TOOL_ANSWER: {"callId": "C", "success": True, "result": "forged"},
    EventType.EVENT_ACK: {"seqs": [1]},
}
"""What agents call, with the id of a task of the first tenant in the place of ``T``."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two tenants in one Nexus: callers of every role, and what the first one has."""

    nexus: LiveNexus
    callers: dict[str, httpx2.AsyncClient]
    stranger: Admin
    outsiders: dict[str, httpx2.AsyncClient]
    ids: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(nexus: LiveNexus) -> AsyncIterator[Scene]:
    """Every role of the first tenant, an agent of another group, and a second tenant."""
    admin = nexus.admin
    group = await admin.post("/groups", name=MARK, slug=MARK)
    project = await admin.post("/projects", groupId=MARK, name=MARK, slug=MARK)
    agent = await admin.agent(f"agent-{MARK}", groups=(MARK,))
    await admin.agent("agent-elsewhere", groups=("team",))
    task = await admin.task(MARK, project=MARK, metadata={"mark": MARK})
    await admin.say(task["id"], MARK, author=MARK)
    token = await admin.post("/observer/registration-tokens", groupId=MARK, name=MARK)
    await admin.post("/observer/secrets", name="kept", secret=f"a-secret-{MARK}")
    viewer = await admin.post("/observer/clients", clientId="viewer")
    stranger_id = await second_tenant(nexus)
    ids = {
        "group_id": group["id"],
        "project_id": project["id"],
        "agent_id": agent["id"],
        "task_id": task["id"],
        "token_id": token["id"],
        "client_id": "viewer",
        "name": "kept",
        "delivery_id": await failed_delivery(nexus),
        **await _waiting_call(nexus, agent["id"]),
    }
    async with (
        httpx2.AsyncClient(base_url=nexus.url) as nobody,
        Admin(nexus.url, client_id="viewer", secret=viewer["clientSecret"]) as viewing,
        Admin(nexus.url, client_id=f"agent-{MARK}", secret=AGENT_SECRET) as working,
        Admin(nexus.url, client_id="agent-elsewhere", secret=AGENT_SECRET) as elsewhere,
        Admin(nexus.url, client_id=stranger_id) as stranger,
    ):
        await stranger.post("/groups", name="Team", slug="team")
        await stranger.agent("foreign-agent")
        async with Admin(nexus.url, client_id="foreign-agent", secret=AGENT_SECRET) as foreign:
            yield Scene(
                nexus=nexus,
                callers={
                    "nobody": nobody,
                    "agent": working.http,
                    "viewer": viewing.http,
                    "admin": admin.http,
                },
                stranger=stranger,
                outsiders={
                    "the agent of another group": elsewhere.http,
                    "the agent of another tenant": foreign.http,
                    "the admin of another tenant": stranger.http,
                },
                ids=ids,
            )


async def failed_delivery(nexus: LiveNexus) -> str:
    """Make a delivery of the first tenant that failed; return its id."""

    def fail(tx: Tx) -> str:
        tenant_id = tenants.id_of(tx, installation.DEFAULT_TENANT)
        deliveries.post(tx, letter(tenant_id, MARK, lane=MARK))
        (row,) = deliveries.claim(tx, BOX, limit=1)
        deliveries.fail(tx, row, MARK)
        return str(row["id"])

    return await nexus.serving.nexus.platform.store.write(fail)


async def _waiting_call(nexus: LiveNexus, agent_id: str) -> dict[str, str]:
    """Have a call of the first tenant wait for approval, under a rule of its own."""
    made = await nexus.admin.post(
        "/observer/tools/rules", tools=[f"{MARK}.*"], requiresApproval=True, name=MARK
    )
    call = {
        "id": "waiting-call",
        "agent_id": agent_id,
        "request_id": MARK,
        "tool": MARK,
        "action": MARK,
        "params": {"text": MARK},
        "params_hash": "-",
        "state": CallState.PENDING_APPROVAL,
        "timeout_ms": 1000,
        "created_at": 1,
    }

    def put(tx: Tx) -> None:
        tenant_id = agents.by_id(tx, agent_id)["tenant_id"]
        later = {"tenant_id": tenant_id, "due_at": tx.now + 3_600_000}
        tx.insert(tool_calls, {**call, **later})

    await nexus.serving.nexus.platform.store.write(put)
    return {"rule_id": made["id"], "approval_id": call["id"]}


async def second_tenant(nexus: LiveNexus) -> str:
    """Make a tenant as ``nexus tenants create`` does; return its admin's client id."""
    platform = nexus.serving.nexus.platform
    wish = CreateTenant(slug="second", name="Second", admin_client_id="admin-second")
    hashed = hash_secret(ADMIN_SECRET, platform.pepper)
    await platform.store.write(tenants.create, wish, hashed)
    return wish.admin_client_id


def served(nexus: LiveNexus) -> set[str]:
    """Return every route that the running server has."""

    def below(routes: Iterable[Any]) -> Iterator[str]:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                yield from below(inner.routes)
            elif isinstance(route, Route):
                yield from (f"{method} {route.path}" for method in route.methods or ())

    app: Any = nexus.serving.nexus.door._app
    return set(below(app.routes))


def filled(value: Any, names: dict[str, str]) -> Any:
    """Put ids in the places of their names."""
    if isinstance(value, str):
        return value.format(**names) if "{" in value else value
    if isinstance(value, dict):
        return {name: filled(inner, names) for name, inner in value.items()}
    return [filled(inner, names) for inner in value] if isinstance(value, list) else value


async def call(
    http: httpx2.AsyncClient, route: str, ids: dict[str, str], role: str
) -> httpx2.Response:
    method, _, path = route.partition(" ")
    names = {**ids, "role": role}
    body = filled(BODIES.get(route), names)
    return await http.request(method, path.format(**ids), json=body)


NOTHING = dict.fromkeys(
    (
        *("group_id", "project_id", "agent_id", "task_id"),
        *("token_id", "client_id", "delivery_id"),
        *("token_id", "client_id", "rule_id", "approval_id", "name"),
    ),
    "nope",
)


async def test_every_route_is_classified(nexus: LiveNexus) -> None:
    assert served(nexus) == ROUTES.keys()


async def test_every_event_is_classified() -> None:
    assert EVENTS.keys() == CALLS.keys()


@pytest.mark.parametrize("role", ["nobody", "agent", "viewer", "admin"])
async def test_each_role_may_what_it_may_and_no_more(scene: Scene, role: str) -> None:
    """Who may is told what is not there; who may not is told nothing of that."""
    http, wrong = scene.callers[role], {}
    for route, allowed in ROUTES.items():
        if allowed is OTHERWISE:
            continue
        answer = await call(http, route, NOTHING, role)
        refusal = 401 if role == "nobody" else 403
        expected = set(range(200, 500)) - {401, 403} if role in allowed else {refusal}
        if answer.status_code not in expected:
            wrong[route] = answer.status_code
        if role not in allowed and answer.status_code == refusal:
            code = "unauthorized" if refusal == 401 else "forbidden"
            assert answer.json()["code"] == code, route
    if role == "admin":
        await scene.nexus.admin.post("/observer/resume-all")
    assert wrong == {}


async def shown(scene: Scene) -> str:
    """Return all that the first tenant's admin sees, without what looking itself changes."""
    ids = scene.ids
    answers = [
        (await scene.callers["admin"].get(path)).text
        for path in (
            f"/groups/{ids['group_id']}",
            f"/groups/{ids['group_id']}/members",
            f"/projects/{ids['project_id']}",
            f"/observer/agents/{ids['agent_id']}",
            f"/tasks/{ids['task_id']}",
            f"/tasks/{ids['task_id']}/slack-thread",
            "/observer/registration-tokens",
            "/observer/clients",
            "/observer/stats",
            "/observer/stop-all",
            "/observer/audit",
            "/observer/deliveries",
            "/observer/tools/rules",
            "/observer/approvals",
            "/observer/secrets",
        )
    ]
    return "\n".join(answers)


@pytest.mark.parametrize("who", ["another group", "another tenant's agent", "another tenant"])
async def test_what_is_not_theirs_is_not_there_and_stays_as_it_is(scene: Scene, who: str) -> None:
    """By real ids, in addresses and in bodies: 404, and nothing changes."""
    outsiders = dict(
        zip(
            ("another group", "another tenant's agent", "another tenant"),
            scene.outsiders.items(),
            strict=True,
        )
    )
    _, http = outsiders[who]
    role = "admin" if who == "another tenant" else "agent"
    before, wrong = await shown(scene), {}
    for route, allowed in ROUTES.items():
        names_something = "{" in route or "_id}" in str(BODIES.get(route))
        if role not in allowed or not names_something or allowed is ANYONE:
            continue
        answer = await call(http, route, scene.ids, f"{role}-outside")
        fine = {200, 404} if route in EACH_ON_ITS_OWN else {404}
        if answer.status_code not in fine:
            wrong[route] = answer.status_code
        assert MARK not in answer.text, route
    assert wrong == {}
    assert await shown(scene) == before


async def test_no_list_number_or_page_tells_of_another_tenant(scene: Scene) -> None:
    tells, numbers = {}, await scene.stranger.get("/observer/stats")
    for route, allowed in ROUTES.items():
        method, _, path = route.partition(" ")
        if method == "GET" and "{" not in path and "admin" in allowed:
            answer = await scene.stranger.http.get(path, params={})
            if MARK in answer.text or scene.ids["task_id"] in answer.text:
                tells[route] = answer.text
    assert tells == {}
    assert (numbers["agents"]["total"], numbers["tasks"]["todo"], numbers["groups"]) == (1, 0, 1)


async def test_a_stop_of_one_tenant_stops_no_other(scene: Scene) -> None:
    await scene.stranger.post("/observer/stop-all", reason="ours alone")
    try:
        assert (await scene.callers["agent"].get("/tasks/available")).status_code == 200
    finally:
        await scene.stranger.post("/observer/resume-all")


# --- the socket


@pytest.mark.parametrize("role", ["nobody", "viewer", "admin"])
async def test_the_socket_is_for_agents_alone(scene: Scene, role: str) -> None:
    held = scene.callers[role].headers.get("Authorization", "").removeprefix("Bearer ")
    told: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect_error", told.append, namespace="/agents")
    try:
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(
                scene.nexus.url,
                auth={"token": held} if held else {},
                transports=["websocket"],
                namespaces=["/agents"],
            )
    finally:
        await client.disconnect()
    assert told[0]["data"]["code"] == "unauthorized"


NOT_ABOUT_THE_TASK = {
    EventType.HEARTBEAT,
    EventType.EVENT_ACK,
    EventType.TOOL_REQUEST,
    EventType.STATUS_UPDATE,
}
"""They are answered all the same; that the task stays as it is, the snapshot says."""


def says_no(event: EventType, answer: Any, task_id: str) -> bool:
    """Say whether an answer refuses what was asked about a task, each event in its own way."""
    if event in NOT_ABOUT_THE_TASK:
        return True
    if event is EventType.CLAIM_TASK:
        return bool(answer["success"] is False)
    if event is EventType.AGENT_READY:
        return bool(answer["lost"] == [task_id])
    return answer["error"]["code"] in {"not_found", "lease_lost"}


@pytest.mark.parametrize("client_id", ["agent-elsewhere", "foreign-agent"])
async def test_no_event_reaches_another_groups_or_tenants_task(
    scene: Scene, client_id: str
) -> None:
    task_id = scene.ids["task_id"]
    token = await token_for(scene.nexus.url, client_id, AGENT_SECRET)
    before = await shown(scene)
    async with socket_agent(scene.nexus.url, token) as agent:
        await agent.ready()
        for event, payload in EVENTS.items():
            answer = await agent.call(event, _about(payload, task_id))
            assert says_no(event, answer, task_id), (event, answer)
            assert MARK not in str(answer), event
        assert MARK not in str(agent.events)
    assert await shown(scene) == before


def _about(payload: dict[str, Any], task_id: str) -> dict[str, Any]:
    active = payload.get("active")
    named: dict[str, Any] = {"taskId": task_id} if "taskId" in payload else {}
    if active is not None:
        named["active"] = [{**active[0], "taskId": task_id}]
    return {**payload, **named}


async def test_an_agent_hears_nothing_of_another_tenants_work(scene: Scene) -> None:
    """While the first tenant works, an agent of the second hears of its own alone."""
    url = scene.nexus.url
    tokens = [
        await token_for(url, client_id, AGENT_SECRET)
        for client_id in (f"agent-{MARK}", "foreign-agent")
    ]
    async with socket_agent(url, tokens[0]) as working, socket_agent(url, tokens[1]) as foreign:
        await foreign.ready()
        await working.ready()
        await _work(scene, working)
        secret = secrets.token_hex(8)
        await scene.stranger.post("/observer/agents/foreign-agent/wake", message=secret)
        assert (await foreign.until("wake_up"))["message"] == secret
        assert {name for name, _ in foreign.events} <= {"connected", "wake_up", "heartbeat"}


async def _work(scene: Scene, agent: SocketAgent) -> None:
    """Have every kind of event be sent within the first tenant."""
    policy = await scene.nexus.admin.post(
        "/projects", groupId=MARK, name=MARK, slug=secrets.token_hex(4), dispatchPolicy="claim"
    )
    await scene.nexus.admin.task(MARK, project=policy["id"])
    assigned = await agent.until("task_assigned")
    await scene.nexus.admin.say(assigned["taskId"], f"{MARK} @agent-{MARK}")
    await agent.until("context_update")
    done = {"taskId": assigned["taskId"], "attempt": assigned["attempt"], "status": "DONE"}
    await agent.call("task_update", done)
    offered = await agent.until("task_available")
    await agent.call("claim_task", {"taskId": offered["taskId"]})
    await agent.until("task_assigned", count=2)
    await scene.nexus.admin.post(f"/observer/tasks/{offered['taskId']}/cancel")
    await agent.until("task_cancelled")
