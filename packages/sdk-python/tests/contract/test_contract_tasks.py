"""What an agent can do with a task, whichever Nexus it is."""

from typing import Any

import pytest

from contract_sides import Hands
from socket_agent import SocketAgent


async def holding(hands: Hands, **details: Any) -> tuple[SocketAgent, dict[str, Any]]:
    """Return an agent and the lease that it holds, as calls name it."""
    agent = await hands.ready()
    await hands.side.task(**details)
    task = await agent.until("task_assigned")
    return agent, {"taskId": task["taskId"], "attempt": task["attempt"]}


async def shown(hands: Hands, task_id: str) -> list[tuple[str, str, bool, bool]]:
    """Return the thread: the kind, the text, whether a person said it, whether it was edited."""
    status, page = await (await hands.rest()).get(f"/tasks/{task_id}/slack-thread")
    assert status == 200, page
    return [(m["kind"], m["text"], m["isHuman"], m["edited"]) for m in page["messages"]]


@pytest.mark.parametrize("status", ["IN_PROGRESS", "BLOCKED_ON_HUMAN", "DONE", "FAILED", "TODO"])
async def test_the_holder_moves_its_task(hands: Hands, status: str) -> None:
    agent, lease = await holding(hands, max_attempts=1)
    answer = await agent.call("task_update", {**lease, "status": status})
    assert answer == {
        "acknowledged": True,
        "task": {"id": lease["taskId"], "status": status, "attempt": 1},
    }
    assert (await (await hands.rest()).task(lease["taskId"]))["status"] == status


@pytest.mark.parametrize("status", ["CLAIMED", "CANCELLED"])
async def test_some_moves_are_not_for_agents(hands: Hands, status: str) -> None:
    agent, lease = await holding(hands)
    answer = await agent.call("task_update", {**lease, "status": status})
    assert answer["error"]["code"] == "invalid_transition"


@pytest.mark.parametrize("status", ["DONE", "FAILED", "TODO", "CANCELLED"])
async def test_an_end_is_final_for_its_holder(hands: Hands, status: str) -> None:
    agent, lease = await holding(hands, max_attempts=1)
    if status == "CANCELLED":
        await hands.side.cancel(lease["taskId"])
    else:
        await agent.call("task_update", {**lease, "status": status})
    for wish in ("IN_PROGRESS", "DONE", "FAILED", "TODO"):
        answer = await agent.call("task_update", {**lease, "status": wish})
        assert answer["error"]["code"] == "lease_lost"


async def test_nobody_else_moves_a_task(hands: Hands) -> None:
    _, lease = await holding(hands)
    other = await hands.ready("other")
    answer = await other.call("task_update", {**lease, "status": "DONE"})
    assert answer["error"]["code"] == "lease_lost"


async def test_an_unknown_task_is_not_found(hands: Hands) -> None:
    agent = await hands.ready()
    update, words = {"attempt": 1, "status": "DONE"}, {"text": "hello"}
    for call, more in (("task_update", update), ("post_message", words)):
        answer = await agent.call(call, {"taskId": "nothing", **more})
        assert answer["error"]["code"] == "not_found"


async def test_working_on_a_task_begins_it(hands: Hands) -> None:
    agent, lease = await holding(hands)
    rest = await hands.rest()
    assert (await rest.task(lease["taskId"]))["status"] == "CLAIMED"
    said = {"status": "working", "taskId": lease["taskId"], "message": "starting"}
    assert await agent.call("status_update", said) == {"acknowledged": True}
    assert (await rest.task(lease["taskId"]))["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("said", [{"status": "idle"}, {"status": "working", "taskId": "other"}])
async def test_other_states_begin_nothing(hands: Hands, said: dict[str, str]) -> None:
    agent, lease = await holding(hands)
    assert await agent.call("status_update", said) == {"acknowledged": True}
    assert (await (await hands.rest()).task(lease["taskId"]))["status"] == "CLAIMED"


async def test_progress_and_result_are_shown(hands: Hands) -> None:
    agent, lease = await holding(hands)
    rest = await hands.rest()
    await agent.call("task_update", {**lease, "status": "IN_PROGRESS", "progress": 0.4})
    assert (await rest.task(lease["taskId"]))["progress"] == 0.4
    await agent.call("task_update", {**lease, "status": "DONE", "result": {"lines": [1, None]}})
    task = await rest.task(lease["taskId"])
    assert (task["progress"], task["result"]) == (1.0, {"lines": [1, None]})
    assert "error" not in task


async def test_progress_stands_in_the_thread_once_and_is_edited_there(hands: Hands) -> None:
    agent, lease = await holding(hands)
    for share, words in [(0.25, "reading"), (0.5, "running tests"), (0.5, "running tests")]:
        said = {"status": "IN_PROGRESS", "progress": share, "message": words}
        await agent.call("task_update", {**lease, **said})
    await hands.side.say(lease["taskId"], "how far are you?")
    await agent.call("task_update", {**lease, "status": "IN_PROGRESS", "progress": 1})
    await agent.call("task_update", {**lease, "status": "IN_PROGRESS", "message": "no share"})
    assert await shown(hands, lease["taskId"]) == [
        ("progress", "100 %", False, True),
        ("message", "how far are you?", True, False),
    ]


async def test_the_next_attempt_finds_what_was_said_and_why_it_was_needed(hands: Hands) -> None:
    agent, lease = await holding(hands)
    said = {"status": "IN_PROGRESS", "progress": 0.5, "message": "half"}
    await agent.call("task_update", {**lease, **said})
    await hands.side.say(lease["taskId"], "use less salt")
    await agent.call("task_update", {**lease, "status": "FAILED", "error": "no salt at all"})
    await hands.side.pass_time(10)
    again = await agent.until("task_assigned", count=2)
    assert (again["attempt"], again["lastError"]) == (lease["attempt"] + 1, "no salt at all")
    lease["attempt"] += 1
    await agent.call("task_update", {**lease, "status": "IN_PROGRESS", "progress": 0.1})
    assert await shown(hands, lease["taskId"]) == [
        ("progress", "50 %: half", False, False),
        ("message", "use less salt", True, False),
        ("progress", "10 %", False, False),
    ]


async def test_progress_is_not_posted_as_a_message(hands: Hands) -> None:
    agent, lease = await holding(hands)
    wish = {"taskId": lease["taskId"], "text": "50 %", "kind": "progress"}
    assert (await agent.call("post_message", wish))["error"]["code"] == "invalid_payload"


async def test_a_call_that_is_sent_again_has_no_second_effect(hands: Hands) -> None:
    agent, lease = await holding(hands)
    wish = {**lease, "status": "DONE", "result": 1}
    first = await agent.call("task_update", wish, id_="call-1")
    assert await agent.call("task_update", wish, id_="call-1") == first
    refused = await agent.call("task_update", wish, id_="call-2")
    assert refused["error"]["code"] == "lease_lost"


async def test_a_message_that_is_sent_again_stands_there_once(hands: Hands) -> None:
    agent, lease = await holding(hands)
    words = {"taskId": lease["taskId"], "text": "hello", "clientMessageId": "m1"}
    first = await agent.call("post_message", words, id_="call-1")
    assert await agent.call("post_message", words, id_="call-1") == first
    assert await agent.call("post_message", words, id_="call-2") == first
    page = await thread(hands, lease["taskId"])
    assert [message["text"] for message in page["messages"]] == ["hello"]


async def thread(hands: Hands, task_id: str, **params: Any) -> Any:
    """Return a page of a thread."""
    status, page = await (await hands.rest()).get(f"/tasks/{task_id}/slack-thread", **params)
    assert status == 200
    return page


async def test_a_person_is_heard_and_unblocks_the_task(hands: Hands) -> None:
    agent, lease = await holding(hands)
    await agent.call("task_update", {**lease, "status": "BLOCKED_ON_HUMAN"})
    await hands.side.say(lease["taskId"], "go on")
    said = await agent.until("context_update")
    assert said.keys() >= {"taskId", "messageTs", "author", "authorId", "content", "isHuman"}
    assert (said["author"], said["content"], said["isHuman"]) == ("Ann", "go on", True)
    assert (await (await hands.rest()).task(lease["taskId"]))["status"] == "IN_PROGRESS"


async def test_an_agent_does_not_hear_itself_but_others_do(hands: Hands) -> None:
    agent, lease = await holding(hands)
    other = await hands.ready("other")
    words = {"taskId": lease["taskId"], "text": "my own words"}
    mine = await agent.call("post_message", words)
    assert mine.keys() == {"ok", "messageTs"}
    assert mine["ok"] is True
    await other.call("post_message", {"taskId": lease["taskId"], "text": "and mine"})
    said = await agent.until("context_update")
    assert (said["content"], said["isHuman"], said["author"]) == ("and mine", False, "Other")
    assert len(agent.named("context_update")) == 1
    assert float(said["messageTs"]) > float(mine["messageTs"])


@pytest.mark.parametrize("name", ["worker", "WORKER", "oblivion"])
async def test_a_mention_wakes(hands: Hands, name: str) -> None:
    agent, lease = await holding(hands)
    await hands.side.say(lease["taskId"], f"hey @{name}, look")
    woken = await agent.until("wake_up")
    assert (woken["reason"], woken["taskId"]) == ("mention", lease["taskId"])
    assert (woken["triggeredBy"], woken["message"]) == ("Ann", f"hey @{name}, look")


async def test_a_mention_wakes_who_does_not_hold_the_task(hands: Hands) -> None:
    _, lease = await holding(hands)
    other = await hands.ready("other")
    await hands.side.say(lease["taskId"], "what do you think, @other?")
    assert (await other.until("wake_up"))["taskId"] == lease["taskId"]
    assert other.named("context_update") == []


async def test_an_address_mentions_nobody(hands: Hands) -> None:
    agent, lease = await holding(hands)
    await hands.side.say(lease["taskId"], "write to ann@worker.example")
    await agent.until("context_update")
    await agent.call("heartbeat", {"ping": True})
    assert agent.named("wake_up") == []


async def test_a_person_wakes_by_hand(hands: Hands) -> None:
    agent = await hands.ready()
    await hands.side.wake("worker", "up")
    woken = await agent.until("wake_up")
    assert (woken["reason"], woken["message"]) == ("manual", "up")
    assert "taskId" not in woken


async def test_a_thread_is_read_page_by_page(hands: Hands) -> None:
    agent, lease = await holding(hands)
    await hands.side.say(lease["taskId"], "one")
    wish = {"taskId": lease["taskId"], "text": "two?", "kind": "question"}
    await agent.call("post_message", wish)
    await hands.side.say(lease["taskId"], "three")
    first = await thread(hands, lease["taskId"], limit=2)
    assert (first["ok"], first["taskId"], first["hasMore"]) == (True, lease["taskId"], True)
    shown = [(m["username"], m["text"], m["isHuman"], m["kind"]) for m in first["messages"]]
    assert shown == [("Ann", "one", True, "message"), ("Worker", "two?", False, "question")]
    assert first["messages"][0].keys() >= {"ts", "user", "username", "text", "createdAt"}
    rest = await thread(hands, lease["taskId"], limit=2, cursor=first["nextCursor"])
    assert [message["text"] for message in rest["messages"]] == ["three"]
    assert rest["hasMore"] is False
    assert "nextCursor" not in rest


async def test_a_cancelled_task_is_taken_away(hands: Hands) -> None:
    agent, lease = await holding(hands)
    await hands.side.cancel(lease["taskId"])
    assert await agent.until("task_cancelled") == {**lease, "reason": "cancelled"}


async def test_an_unknown_tool_is_a_result_without_success(hands: Hands) -> None:
    agent = await hands.ready()
    wish = {"requestId": "r1", "tool": "nothing", "action": "do", "params": {}}
    answer = await agent.call("tool_request", wish)
    assert answer.keys() == {"accepted", "callId"}
    assert answer["accepted"] is True
    result = await agent.until("tool_result")
    assert (result["requestId"], result["success"]) == ("r1", False)
    assert "nothing" in result["error"]
