"""Browsers are kept from guessing, framing and calling from elsewhere; bombs stay packed."""

import base64
import gzip
import hashlib
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from live_nexus import ADMIN_SECRET, LiveNexus, live_nexus
from raw_peer import raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "https://app.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveNexus]:
    """A Nexus that one page of another origin may use, and that asks for TLS."""
    folder = tmp_path_factory.mktemp("opened") / "data"
    async with live_nexus(folder, cors_origins=PAGE, hsts_seconds=86400) as nexus:
        await nexus.admin.team()
        yield nexus


async def answers(nexus: LiveNexus) -> AsyncIterator[tuple[str, httpx2.Response]]:
    """Yield answers of every kind: a shortcut's, a list, refusals, a page, a file, a probe."""
    http = nexus.admin.http
    wish = {"projectId": "team", "title": "T"}
    yield "shortcut", await http.post("/observer/tasks", json=wish)
    yield "list", await http.get("/groups")
    yield "404", await http.get("/nope")
    yield "405", await http.put("/groups", json={})
    yield "422", await http.post("/observer/tasks", json={})
    yield "413", await http.post("/observer/tasks", content=b" " * 2_000_000)
    yield "page", await http.get("/api")
    yield "file", await http.get("/api/assets/swagger-ui.css")
    yield "probe", await http.get("/livez")


async def test_every_answer_has_the_headers(nexus: LiveNexus) -> None:
    async for kind, answer in answers(nexus):
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff", kind
        assert headers["Referrer-Policy"] == "no-referrer", kind
        assert headers["X-Frame-Options"] == "DENY", kind
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], kind
        assert "default-src 'none'" in headers["Content-Security-Policy"], kind
        assert headers["Cache-Control"] == "no-store", kind
        assert "Strict-Transport-Security" not in headers, kind
        assert "Server" not in headers, kind
        for name in ("Content-Security-Policy", "Cache-Control", "X-Frame-Options"):
            assert len(headers.get_list(name)) == 1, (kind, name)


async def test_a_token_is_stored_by_no_cache(nexus: LiveNexus) -> None:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        for secret in (ADMIN_SECRET, "wrong"):
            body = {"client_id": "admin", "client_secret": secret}
            answer = await http.post("/auth/token", json=body)
            assert answer.headers["Cache-Control"] == "no-store"


async def test_the_page_may_run_its_own_scripts_and_no_other(nexus: LiveNexus) -> None:
    page = await nexus.admin.http.get("/api")

    policy = page.headers["Content-Security-Policy"]
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert scripts
    for code in scripts:
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    script_sources = re.search(r"script-src ([^;]*)", policy)
    assert script_sources is not None
    assert "unsafe" not in script_sources[1]
    assert "http" not in policy


async def test_tls_is_asked_for_where_the_operator_says_so(opened: LiveNexus) -> None:
    answer = await opened.admin.http.get("/livez")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=86400")


ASKING = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


async def test_pages_of_other_origins_are_kept_out(nexus: LiveNexus) -> None:
    asked = await nexus.admin.http.options("/groups", headers=ASKING)
    called = await nexus.admin.http.get("/groups", headers={"Origin": PAGE})

    assert asked.status_code == 405
    for answer in (asked, called):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_page_on_the_list_is_let_in_and_no_other(opened: LiveNexus) -> None:
    http = opened.admin.http
    headers = "authorization,content-type,idempotency-key"
    asked = await http.options(
        "/groups", headers={**ASKING, "Access-Control-Request-Headers": headers}
    )
    called = await http.get("/groups", headers={"Origin": PAGE})
    other = await http.get("/groups", headers={"Origin": PAGE + ".evil.example"})
    refused = await http.options("/groups", headers={**ASKING, "Origin": "https://evil.example"})

    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert called.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Access-Control-Allow-Credentials" not in called.headers
    assert "Access-Control-Allow-Origin" not in other.headers
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert "Access-Control-Allow-Origin" not in refused.headers


async def shake_hands(nexus: LiveNexus, origin: str | None) -> int:
    more = [] if origin is None else [f"Origin: {origin}"]
    async with raw_connection(nexus.url) as peer:
        return (await peer.shake_hands("/socket.io/?EIO=4&transport=websocket", *more))[0]


async def test_a_socket_is_opened_by_agents_and_pages_that_are_known(
    nexus: LiveNexus, opened: LiveNexus
) -> None:
    own = "http://localhost"
    assert await shake_hands(nexus, None) == 101
    assert await shake_hands(nexus, own) == 101
    for origin in (PAGE, "null", "http://[", f"{own}.evil.example", "file://"):
        assert await shake_hands(nexus, origin) == 400, origin
    assert await shake_hands(opened, PAGE) == 101
    assert await shake_hands(opened, PAGE + ".evil.example") == 400


@pytest.mark.parametrize("path", ["/observer/tasks", "/groups", "/auth/token", "/nope"])
async def test_a_compressed_body_is_refused_unread(nexus: LiveNexus, path: str) -> None:
    bomb = gzip.compress(b'{"a": "' + b" " * 10_000_000 + b'"}')

    answer = await nexus.admin.http.post(
        path, content=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_a_body_that_is_said_to_be_as_it_is_is_taken(nexus: LiveNexus) -> None:
    wish = {"projectId": "team", "title": "T"}
    headers = {"Content-Encoding": "identity"}
    answer = await nexus.admin.http.post("/observer/tasks", json=wish, headers=headers)
    assert answer.status_code == 201


async def test_405_names_every_method_of_the_address(nexus: LiveNexus) -> None:
    answer = await nexus.admin.http.put("/groups/team", json={})
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"
