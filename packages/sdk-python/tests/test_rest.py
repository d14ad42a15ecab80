"""Where the calls over HTTP are tested: lists, tasks, threads, problems."""

import json
from typing import Any

import pytest
from aiohttp import web

import oblivion
from scripted_nexus import MakeClient, ScriptedNexus, now


def answering(body: Any, status: int = 200) -> Any:
    def answer(_request: web.Request) -> web.Response:
        return web.Response(
            text=body if isinstance(body, str) else json.dumps(body),
            status=status,
            content_type="application/json",
        )

    return answer


def summary(task_id: str) -> dict[str, Any]:
    return {"taskId": task_id, "title": "Fix bug", "priority": 2, "createdAt": now()}


@pytest.mark.parametrize(
    ("available", "path"), [(False, "/tasks/claimed"), (True, "/tasks/available")]
)
async def test_tasks_are_listed(
    nexus: ScriptedNexus, make_client: MakeClient, available: bool, path: str
) -> None:
    nexus.http_answers[path] = answering([summary("a"), summary("b")])
    client = make_client()
    await client.connect()
    tasks = await client.list_tasks(available=available)
    assert [(task.task_id, task.priority) for task in tasks] == [("a", 2), ("b", 2)]


async def test_requests_carry_the_token(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response([])

    nexus.http_answers["/tasks/claimed"] = answer
    client = make_client()
    await client.connect()
    await client.list_tasks()
    assert seen == [f"Bearer {nexus.tokens[0]}"]


async def test_a_token_that_is_no_longer_accepted_is_replaced_once(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response([], status=401 if len(seen) == 1 else 200)

    nexus.http_answers["/tasks/claimed"] = answer
    client = make_client()
    await client.connect()
    assert await client.list_tasks() == []
    assert len(set(seen)) == 2


async def test_a_task_is_read_by_an_id_of_any_form(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        task = {"id": "t", "title": "Fix", "status": "TODO", "createdAt": now(), "updatedAt": now()}
        return web.json_response(task)

    nexus.http_answers["/tasks/a/b?c"] = answer
    client = make_client()
    await client.connect()
    assert (await client.get_task("a/b?c")).status is oblivion.TaskStatus.TODO
    assert seen == ["/tasks/a%2Fb%3Fc"]


def thread_of(count: int) -> Any:
    """Return a thread endpoint with pages as the request wants them."""

    def answer(request: web.Request) -> web.Response:
        start, limit = int(request.query.get("cursor", "0")), int(request.query["limit"])
        assert limit <= 100
        page = range(start, min(start + limit, count))
        more = page.stop < count
        return web.json_response(
            {
                "ok": True,
                "taskId": "t",
                "messages": [{"ts": str(n), "text": f"m{n}", "isHuman": True} for n in page],
                "hasMore": more,
                "nextCursor": str(page.stop) if more else None,
            }
        )

    return answer


@pytest.mark.parametrize(
    ("limit", "count", "expected"), [(None, 250, 250), (120, 250, 120), (10, 3, 3), (None, 0, 0)]
)
async def test_a_thread_is_read_in_order_over_all_its_pages(
    nexus: ScriptedNexus, make_client: MakeClient, limit: int | None, count: int, expected: int
) -> None:
    nexus.http_answers["/tasks/t/slack-thread"] = thread_of(count)
    client = make_client()
    await client.connect()
    messages = await client.get_thread("t", limit=limit)
    assert [message.text for message in messages] == [f"m{n}" for n in range(expected)]


async def test_a_cursor_that_goes_in_circles_ends(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    page = {"taskId": "t", "messages": [{"ts": "1"}], "hasMore": True, "nextCursor": "same"}
    nexus.http_answers["/tasks/t/slack-thread"] = answering(page)
    client = make_client()
    await client.connect()
    assert len(await client.get_thread("t")) == 2


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"code": "not_found", "detail": "no task"}, (oblivion.NotFound, "not_found", False)),
        (403, {"title": "Forbidden"}, (oblivion.Forbidden, "403", False)),
        (409, {}, (oblivion.Conflict, "409", False)),
        (422, {"code": "invalid_payload"}, (oblivion.PayloadRefused, "invalid_payload", False)),
        (429, {}, (oblivion.RateLimited, "429", True)),
        (503, "<html>maintenance", (oblivion.Unavailable, "503", True)),
        (500, {"code": "internal"}, (oblivion.CallRefused, "internal", True)),
        (401, {"detail": "bad token"}, (oblivion.AuthenticationFailed, "401", False)),
    ],
)
async def test_problems_become_typed_errors(
    nexus: ScriptedNexus,
    make_client: MakeClient,
    status: int,
    body: Any,
    expected: tuple[type[oblivion.OblivionError], str, bool],
) -> None:
    nexus.http_answers["/tasks/t"] = answering(body, status)
    client = make_client()
    await client.connect()
    with pytest.raises(oblivion.OblivionError) as caught:
        await client.get_task("t")
    error = caught.value
    assert (type(error), getattr(error, "code", None), error.retryable) == expected


@pytest.mark.parametrize("body", ["<html>", {"no": "list"}, [{"title": "no id"}], "null"])
async def test_an_unreadable_answer_is_a_violation(
    nexus: ScriptedNexus, make_client: MakeClient, body: Any
) -> None:
    nexus.http_answers["/tasks/claimed"] = answering(body)
    client = make_client()
    await client.connect()
    with pytest.raises(oblivion.ProtocolViolation, match="tasks/claimed"):
        await client.list_tasks()


async def test_a_silent_server_is_unreachable(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    await client.connect()
    await nexus.stop()
    with pytest.raises(oblivion.NexusUnreachable):
        await client.list_tasks()
