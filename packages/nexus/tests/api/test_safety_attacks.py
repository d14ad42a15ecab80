"""What attackers send is refused by name or kept as the harmless text that it is."""

from typing import Any

import httpx2
import pytest

from live_nexus import LiveNexus

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = [
    "",
    " ",
    "Team",
    "-team",
    "team-",
    "te--am",
    "te am",
    "team\n",
    "team\x00",
    "../team",
    "..",
    "te/am",
    "te%2fam",
    "te.am",
    "téam",
    "\uff54eam",
    "te\u200bam",
    "\u202eteam",
    "💩",
    "team'--",
    '<b id="x">',
    "a" * 65,
]
NASTY = [
    "'; DROP TABLE tasks; --",
    "' OR '1'='1",
    '"; DELETE FROM groups; --',
    "%' UNION SELECT secret_hash FROM clients --",
    "<script>alert(document.cookie)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}${7*7}#{7*7}%s%n",
    "javascript:alert(1)",
    "\u202e\u2066back to front",
    "\\u0000 \\x00 \r\n Set-Cookie: a=b",
]
OWNED: dict[str, Any] = {
    "id": "chosen",
    "tenantId": "default",
    "tenant_id": "default",
    "role": "admin",
    "status": "DONE",
    "approvalStatus": "APPROVED",
    "attempt": 9,
    "holderAgentId": "me",
    "claimedByAgentId": "me",
    "secretHash": "hmac-sha256:0",
    "disabledAt": None,
    "tokenEpoch": 0,
    "createdAt": "2020-01-01T00:00:00.000Z",
    "__proto__": {"role": "admin"},
    "constructor": {"prototype": {}},
}


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"]) == (status, status), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return found


@pytest.mark.parametrize("slug", ODD, ids=ascii)
async def test_a_short_name_with_odd_characters_is_refused_wherever_it_is_chosen(
    nexus: LiveNexus, slug: str
) -> None:
    for path, field, body in (
        ("/groups", "slug", {"name": "G"}),
        ("/projects", "slug", {"groupId": "team", "name": "P"}),
        ("/groups/team/members", "role", {"agentId": "nobody"}),
    ):
        answer = await nexus.admin.http.post(path, json={**body, field: slug})
        assert f"/{field}" in [error["pointer"] for error in problem(answer, 422)["errors"]]


async def test_odd_client_ids_tags_and_capabilities_are_refused(nexus: LiveNexus) -> None:
    for odd in ("", " ", "a b", ".hidden", "a\n", "a/../b", "é", "\u202ea", "<b>", "'", "a" * 129):
        for path, field, body in (
            ("/observer/agents", "clientId", {"name": "A"}),
            ("/observer/clients", "clientId", {}),
            ("/projects", "oblivionTag", {"groupId": "team", "name": "P", "slug": "p"}),
        ):
            answer = await nexus.admin.http.post(path, json={**body, field: odd})
            assert problem(answer, 422)["errors"][0]["pointer"] == f"/{field}", (path, odd)
        wish = {"name": "A", "clientId": "fine", "capabilities": ["ok", f"{odd} "]}
        answer = await nexus.admin.http.post("/observer/agents", json=wish)
        assert problem(answer, 422)["errors"][0]["pointer"] == "/capabilities/1"


async def test_no_body_sets_what_is_the_servers_to_say(nexus: LiveNexus) -> None:
    """Of every operation that takes JSON: each field that it does not know is refused by name."""
    described = await nexus.admin.get("/api-json")
    schemas, tried = described["components"]["schemas"], 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            name = _schema_name(content.get("application/json", {}).get("schema", {}))
            if name is None:
                continue
            unknown = {
                field: value
                for field, value in OWNED.items()
                if field not in schemas[name]["properties"]
            }
            answer = await nexus.admin.http.request(
                method, path.replace("{", "").replace("}", ""), json=unknown
            )
            pointers = {error["pointer"] for error in problem(answer, 422)["errors"]}
            assert {f"/{field}" for field in unknown} <= pointers, (method, path)
            assert schemas[name]["additionalProperties"] is False
            tried += 1
    assert tried > 20


def _schema_name(schema: dict[str, Any]) -> str | None:
    choices = [schema, *schema.get("anyOf", [])]
    refs = [choice["$ref"] for choice in choices if "$ref" in choice]
    return refs[0].rpartition("/")[2] if refs else None


@pytest.mark.parametrize("text", NASTY, ids=ascii)
async def test_sql_and_html_in_any_text_stay_text(nexus: LiveNexus, text: str) -> None:
    groups = (await nexus.admin.get("/observer/stats"))["groups"]
    admin, slug = nexus.admin, f"nasty-{NASTY.index(text)}"
    group = await admin.post("/groups", name=text, slug=slug, description=text)
    project = await admin.post("/projects", groupId=slug, name=text, slug=slug, description=text)
    agent = await admin.post(
        "/observer/agents", name=text, clientId=slug, description=text, email=text
    )
    task = await admin.post(
        "/observer/tasks",
        projectId=project["id"],
        title=text,
        description=text,
        metadata={text: [text, {"a": text}]},
    )
    await admin.post(f"/observer/tasks/{task['id']}/messages", text=text, author=text)
    await admin.post(f"/observer/tasks/{task['id']}/cancel", reason=text)
    await admin.post(f"/observer/agents/{slug}/ban", reason=text)

    assert (group["name"], group["description"]) == (text, text)
    again = await admin.get(f"/observer/agents/{slug}")
    assert (again["name"], again["description"], again["email"]) == (text, text, text)
    assert agent["id"] == again["id"]
    shown = await admin.get(f"/tasks/{task['id']}")
    assert (shown["title"], shown["groupName"], shown["error"]) == (text, text, text)
    assert shown["metadata"] == {text: [text, {"a": text}]}
    (message,) = (await admin.get(f"/tasks/{task['id']}/slack-thread"))["messages"]
    assert (message["text"], message["username"]) == (text, text)
    answer = await admin.http.get(f"/tasks/{task['id']}")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await admin.get("/observer/stats"))["groups"] == groups + 1


@pytest.mark.parametrize("text", NASTY, ids=ascii)
async def test_sql_and_html_in_addresses_name_nothing(nexus: LiveNexus, text: str) -> None:
    http, segment = nexus.admin.http, httpx2.QueryParams({"x": text})["x"]
    for path in ("/groups", "/projects", "/observer/agents", "/tasks"):
        quoted = "".join(f"%{byte:02X}" for byte in segment.encode())
        answer = await http.get(f"{path}/{quoted}")
        assert problem(answer, 404)["code"] == "not_found"
    for path, name in (
        ("/projects", "groupId"),
        ("/observer/tasks", "projectId"),
        ("/observer/tasks", "agentId"),
    ):
        problem(await http.get(path, params={name: text}), 404)
    assert (await http.get("/observer/audit", params={"actor": text})).json()["items"] == []
    assert (await http.get("/groups", params={"cursor": text})).status_code == 200


async def test_a_field_or_key_that_is_huge_is_refused_and_the_server_lives(
    nexus: LiveNexus,
) -> None:
    http = nexus.admin.http
    big = "x" * 200_000
    wish = {"name": big, "slug": "big"}
    problem(await http.post("/groups", json=wish), 422)
    problem(await http.post("/groups", json={"name": "x" * 2_000_000, "slug": "big"}), 413)
    key = {"Idempotency-Key": "x" * 300}
    problem(await http.post("/groups", json={"name": "G", "slug": "g"}, headers=key), 422)
    assert (await http.get("/groups", params={"cursor": "x" * 5000})).status_code == 422
    assert (await http.get("/livez")).status_code == 200
