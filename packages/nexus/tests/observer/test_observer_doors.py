"""Who gets into the Observer, who may act there, and what other sites and tenants get: nothing."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from fake_time import FakeTime
from live_nexus import ADMIN_SECRET, AGENT_SECRET, LiveNexus, live_nexus
from nexus.observer.entrance import COOKIE, LIFETIME_S
from nexus.services import tenants
from nexus.services.secrets import hash_secret
from nexus.services.tenants import CreateTenant
from observer_visitor import problem_of, session_of, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = {"/sign-in", "/enter"}
FOR_EVERYBODY = {"/sign-out", "/theme"}


def routes(nexus: LiveNexus) -> list[tuple[str, str]]:
    """Return every address of the Observer with its method, as the running server has them."""
    found = nexus.serving.nexus.observer._router.routes
    return [
        (method, route.path)
        for route in found
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def address(path: str, names: dict[str, str]) -> str:
    return "/ui" + re.sub(r"{(\w+)}", lambda found: names[found[1]], path)


async def _ids(nexus: LiveNexus) -> dict[str, str]:
    """Return what there is to see of the first tenant."""
    admin = nexus.admin
    task = await admin.task("Mine")
    agents = (await admin.get("/observer/agents"))["items"]
    agent = agents[0] if agents else await admin.agent("somebody")
    token = await admin.post("/observer/registration-tokens", groupId="team")
    return {
        "task_id": task["id"],
        "agent_id": agent["id"],
        "group_id": (await admin.get("/groups/team"))["id"],
        "project_id": (await admin.get("/projects/team"))["id"],
        "token_id": token["id"],
        "client_id": "admin",
        "delivery_id": "1",
        "approval_id": "nope",
        "rule_id": "nope",
    }


async def test_nobody_sees_or_does_anything_without_a_session(nexus: LiveNexus) -> None:
    names = await _ids(nexus)
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as nobody:
        for method, path in routes(nexus):
            if path in OUTSIDE:
                continue
            answer = await nobody.request(method, address(path, names))
            assert answer.status_code == 303, (method, path)
            assert answer.headers["Location"].startswith("/ui/sign-in"), path
            assert "Mine" not in answer.text


async def test_viewers_see_every_page_and_do_nothing(nexus: LiveNexus, viewer_id: str) -> None:
    names = await _ids(nexus)
    async with visitor(nexus, viewer_id) as viewer:
        for method, path in routes(nexus):
            if path in OUTSIDE | FOR_EVERYBODY or path == "/live":
                continue
            answer = await viewer.request(method, address(path, names))
            if method == "POST":
                assert answer.status_code == 403, (method, path)
                assert "role admin" in problem_of(answer)
            else:
                assert answer.status_code in {200, 403}, (path, answer.text)
                offered = set(re.findall(r'<form method="post" action="([^"]+)"', answer.text))
                assert offered <= {"/ui/theme", "/ui/sign-out"}, path


async def test_another_tenants_things_are_not_there(nexus: LiveNexus) -> None:
    names = await _ids(nexus)
    platform = nexus.serving.nexus.platform
    wish = CreateTenant(slug="second", name="Second", admin_client_id="admin-second")
    hashed = hash_secret(ADMIN_SECRET, platform.pepper)
    await platform.store.write(tenants.create, wish, hashed)
    async with visitor(nexus, "admin-second") as stranger:
        for method, path in routes(nexus):
            if "{" not in path:
                continue
            form = {"text": "x", "priority": "1", "name": "x", "agent_id": "x", "slug": "x"}
            answer = await stranger.request(method, address(path, names), data=form)
            assert answer.status_code in {404, 422}, (method, path)
            assert "Mine" not in answer.text
        for path in ("/", "/ui/tasks", "/ui/board"):
            assert "Mine" not in (await stranger.get(path)).text
    assert (await nexus.admin.get(f"/tasks/{names['task_id']}"))["status"] == "TODO"


async def test_a_right_secret_lets_in_with_a_cookie_that_scripts_and_other_sites_do_not_get(
    nexus: LiveNexus,
) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    form = {"client_id": "admin", "client_secret": ADMIN_SECRET, "next": "/ui/tasks?status=TODO"}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as http:
        answer = await http.post("/ui/sign-in", data=form)
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/ui/tasks?status=TODO"
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert f"Max-Age={LIFETIME_S}" in cookie
        assert "Secure" not in cookie
        assert (await http.get("/ui/tasks")).status_code == 200
        behind_tls = {"X-Forwarded-Proto": "https"}
        again = await http.post("/ui/sign-in", data=form, headers=behind_tls)
        assert "Secure" in again.headers["Set-Cookie"]


async def test_wrong_secrets_and_agents_are_told_so_and_guesses_are_counted(
    tmp_path: Path,
) -> None:
    async with live_nexus(tmp_path / "data", guesses_per_minute=3) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("worker")
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as http:

            async def attempt(client_id: str, secret: str) -> httpx2.Response:
                form = {"client_id": client_id, "client_secret": secret}
                return await http.post("/ui/sign-in", data=form)

            agent = await attempt("worker", AGENT_SECRET)
            assert agent.status_code == 403
            assert "agent&#39;s secret" in problem_of(agent)
            for _ in range(3):
                wrong = await attempt("admin", "wrong")
                assert wrong.status_code == 401
                assert problem_of(wrong) == "Unknown client or wrong secret"
                assert "wrong" not in wrong.text.replace("wrong secret", "")
            spent = await attempt("admin", "wrong")
            assert spent.status_code == 429
            assert int(spent.headers["Retry-After"]) > 0
            assert (await attempt("admin", ADMIN_SECRET)).status_code == 303


async def test_a_one_time_link_lets_in_once(nexus: LiveNexus) -> None:
    link = nexus.serving.nexus.observer.link("admin")
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        ahead = await http.get(link, headers={"Sec-Purpose": "prefetch;prerender"})
        assert ahead.status_code == 503
        assert "Set-Cookie" not in ahead.headers
        first = await http.get(link)
        assert first.status_code == 303
        assert first.headers["Location"] == "/"
        http.cookies.clear()
        second = await http.get(link)
        assert second.status_code == 401
        assert "used already" in problem_of(second)
        assert "Set-Cookie" not in second.headers


async def test_links_and_sessions_end_with_their_time(tmp_path: Path) -> None:
    time = FakeTime()
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        observer = nexus.serving.nexus.observer
        late = observer.link("admin")
        time.advance(seconds=15 * 60)
        async with httpx2.AsyncClient(base_url=nexus.url) as http:
            assert (await http.get(late)).status_code == 401
            assert (await http.get(observer.link("admin"))).status_code == 303
            time.advance(seconds=LIFETIME_S - 1)
            assert (await http.get("/")).status_code == 200
            time.advance(seconds=1)
            assert (await http.get("/")).headers["Location"] == "/ui/sign-in"


async def test_a_session_is_no_access_token_and_none_is_a_session(nexus: LiveNexus) -> None:
    session = await session_of(nexus, "admin")
    bearer = nexus.admin.http.headers["Authorization"].removeprefix("Bearer ")
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        as_token = {"Authorization": f"Bearer {session}"}
        assert (await http.get("/groups", headers=as_token)).status_code == 401
        as_cookie = {"Cookie": f"{COOKIE}={bearer}"}
        assert (await http.get("/ui/tasks", headers=as_cookie)).status_code == 303


async def test_signing_out_voids_the_session_wherever_it_is(nexus: LiveNexus) -> None:
    async with visitor(nexus, "admin") as person:
        assert (await person.get("/")).status_code == 200
        out = await person.post("/ui/sign-out")
        assert out.headers["Location"] == "/ui/sign-in"
        # The cookie itself is sent again, as somebody would who has a copy.
        assert (await person.get("/")).status_code == 303


async def test_who_is_shut_out_is_out_at_once(nexus: LiveNexus) -> None:
    await nexus.admin.post("/observer/clients", clientId="former", role="admin")
    async with visitor(nexus, "former") as person:
        assert (await person.get("/ui/tasks")).status_code == 200
        answer = await nexus.admin.http.delete("/observer/clients/former")
        assert answer.status_code == 204
        assert (await person.get("/ui/tasks")).status_code == 303
        form = {"project_id": "team", "title": "x"}
        lost = await person.post("/ui/tasks", data=form)
        assert lost.headers["Location"].startswith("/ui/sign-in")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_other_sites_cannot_act_with_a_persons_session(
    nexus: LiveNexus, headers: dict[str, str]
) -> None:
    task = await nexus.admin.task("Not to be cancelled")
    cookie = {"Cookie": f"{COOKIE}={await session_of(nexus, 'admin')}"}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=cookie | headers) as forged:
        answer = await forged.post(f"/ui/tasks/{task['id']}/cancel")
        assert answer.status_code == 403
        assert "another site" in problem_of(answer)
        credentials = {"client_id": "admin", "client_secret": ADMIN_SECRET}
        assert (await forged.post("/ui/sign-in", data=credentials)).status_code == 403
    assert (await nexus.admin.get(f"/tasks/{task['id']}"))["status"] == "TODO"


async def test_older_browsers_say_where_a_form_is_from_by_its_origin(nexus: LiveNexus) -> None:
    task = await nexus.admin.task("To be cancelled")
    cookie = {"Cookie": f"{COOKIE}={await session_of(nexus, 'admin')}", "Origin": nexus.url}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=cookie) as person:
        assert (await person.post(f"/ui/tasks/{task['id']}/cancel")).status_code == 303
    assert (await nexus.admin.get(f"/tasks/{task['id']}"))["status"] == "CANCELLED"


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/ui/\\..", "javascript:x", "x"],
)
async def test_signing_in_leads_to_no_other_site(nexus: LiveNexus, wanted: str) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    form = {"client_id": "admin", "client_secret": ADMIN_SECRET, "next": wanted}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as http:
        assert (await http.post("/ui/sign-in", data=form)).headers["Location"] == "/"


async def test_pages_run_nothing_of_others_and_are_not_framed_or_stored(
    admin: httpx2.AsyncClient,
) -> None:
    for path in ("/", "/ui/tasks", "/ui/nope"):
        page = await admin.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert " style=" not in page.text
        assert not re.search(r"\son\w+=", page.text)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page.text))


async def test_what_is_done_is_in_the_audit_log_as_the_api_does_it(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    task = await nexus.admin.task("Audited")
    done = await admin.post(f"/ui/tasks/{task['id']}/cancel", data={"reason": "no need"})
    assert done.status_code == 303
    entries = (await nexus.admin.get("/observer/audit", limit=1))["items"]
    assert entries[0]["action"] == "cancel_task"
    assert entries[0]["actor"] == "admin"
    assert entries[0]["address"] == "127.0.0.1"
    assert entries[0]["details"] == {"task_id": task["id"], "reason": "no need"}


async def test_a_form_that_is_sent_twice_makes_one_task(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    project = await nexus.admin.get("/projects/team")
    form: dict[str, Any] = {"project_id": project["id"], "title": "Once", "once": "a" * 32}
    first = await admin.post("/ui/tasks", data=form)
    again = await admin.post("/ui/tasks", data=form)
    assert first.status_code == again.status_code == 303
    assert first.headers["Location"] == again.headers["Location"]
    found = (await nexus.admin.get("/observer/tasks", text="Once"))["items"]
    assert [task["title"] for task in found] == ["Once"]


async def test_what_does_not_fit_is_said_and_nothing_is_half_done(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    before = (await nexus.admin.get("/observer/stats"))["tasks"]
    answer = await admin.post("/ui/tasks", data={"project_id": "team", "title": " "})
    assert answer.status_code == 422
    assert "title" in problem_of(answer).lower()
    assert (await admin.get("/ui/tasks?priority=9")).status_code == 422
    assert (await admin.get("/ui/tasks?status=NO")).status_code == 422
    assert (await nexus.admin.get("/observer/stats"))["tasks"] == before


async def test_old_addresses_of_tasks_lead_to_the_task(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    task = await nexus.admin.task("Linked")
    answer = await admin.get("/", params={"task": task["id"]})
    assert answer.headers["Location"] == f"/ui/tasks/{task['id']}"
    assert (await admin.get("/", params={"task": "nope"})).status_code == 404
    async with httpx2.AsyncClient(base_url=nexus.url) as nobody:
        asked = await nobody.get("/", params={"task": task["id"]})
        assert asked.headers["Location"] == f"/ui/sign-in?next=%2F%3Ftask%3D{task['id']}"
