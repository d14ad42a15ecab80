"""Where it is tested how an agent asks a person, and gets that person's answer and no other."""

import asyncio
from typing import Any

import pytest

import oblivion
from hand_clock import HandClock
from oblivion import ContextUpdatePayload, OblivionClient, TaskAssignedPayload
from scripted_nexus import Call, MakeClient, ScriptedNexus, refused


def says(content: str, ts: str, **changes: Any) -> dict[str, Any]:
    return {"taskId": "t", "messageTs": ts, "author": "Ada", "content": content, **changes}


def asking(client: OblivionClient, timeout: float | None = None) -> list[str]:
    """Register a handler that asks; return the list of what ``on_context_update`` hears."""
    heard: list[str] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        answer = await client.ask_human(payload.task_id, "Which branch?", timeout=timeout)
        return answer.content

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        heard.append(payload.content)

    return heard


async def test_the_answer_goes_to_who_asked(nexus: ScriptedNexus, make_client: MakeClient) -> None:
    client = make_client()
    heard = asking(client)
    await client.connect()
    await nexus.assign("t")
    question = (await nexus.next("post_message")).payload
    assert (question["text"], question["kind"]) == ("Which branch?", "question")
    answer = await nexus.send("context_update", says("main", "100.000002"))
    await nexus.acknowledged(answer["seq"])
    assert nexus.of("task_update")[0].payload["status"] == "BLOCKED_ON_HUMAN"
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    done = nexus.of("task_update")[1].payload
    assert (done["status"], done["result"]) == ("DONE", "main")
    assert heard == []


async def test_the_task_is_blocked_before_the_question_is_posted(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    asking(client)
    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    moves = [c.type for c in nexus.calls if c.type in {"task_update", "post_message"}]
    assert moves == ["task_update", "post_message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"isHuman": False},
        {"deleted": True},
        {"edited": True},
        {"messageTs": "99.999999"},
        {"taskId": "another"},
    ],
)
async def test_what_is_no_answer_goes_to_the_handler(
    nexus: ScriptedNexus, make_client: MakeClient, changes: dict[str, Any]
) -> None:
    client = make_client()
    heard = asking(client)
    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    await client.send_heartbeat()
    other = await nexus.send("context_update", {**says("no answer", "100.000002"), **changes})
    await nexus.acknowledged(other["seq"])
    await nexus.send("context_update", says("main", "100.000003"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert nexus.of("task_update")[1].payload["result"] == "main"
    assert heard == ["no answer"]


async def test_messages_that_cross_the_question_are_told_apart_by_their_place(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard = asking(client)

    async def posted(_call: Call) -> dict[str, str]:
        await nexus.send("context_update", says("said before", "99.000001"))
        await nexus.send("context_update", says("the answer", "100.000002"))
        await nexus.send("context_update", says("said after", "100.000003"))
        return {"messageTs": "100.000001"}

    nexus.answers["post_message"] = posted
    await client.connect()
    await nexus.assign("t")
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert nexus.of("task_update")[1].payload["result"] == "the answer"
    await nexus.acknowledged(2, 3, 4)
    assert heard == ["said before", "said after"]


async def test_what_crosses_a_question_that_fails_is_heard_all_the_same(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard = asking(client)

    async def muted(_call: Call) -> dict[str, object]:
        await nexus.send("context_update", says("hello?", "100.000002"))
        return refused("forbidden")

    nexus.answers["post_message"] = muted
    await client.connect()
    await nexus.assign("t")
    await nexus.acknowledged(2)
    assert heard == ["hello?"]


@pytest.mark.parametrize("place", ["", "later", "NaN"])
async def test_a_message_without_a_place_counts_when_it_comes_after_the_question(
    nexus: ScriptedNexus, make_client: MakeClient, place: str
) -> None:
    client = make_client()
    asking(client)
    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    await client.send_heartbeat()
    await nexus.send("context_update", says("main", place))
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert nexus.of("task_update")[1].payload["result"] == "main"


async def test_the_end_of_the_session_ends_the_waiting(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    errors: list[BaseException] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        try:
            await client.ask_human(payload.task_id, "what?")
        except oblivion.OblivionError as error:
            errors.append(error)
            raise

    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    await client.send_heartbeat()
    await nexus.hint("superseded", {"sessionId": "newer"})
    with pytest.raises(oblivion.SessionSuperseded):
        await client.wait()
    assert [type(error) for error in errors] == [oblivion.SessionSuperseded]


async def test_two_questions_get_two_answers_in_turn(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> list[str]:
        first = await client.ask_human(payload.task_id, "one?")
        second = await client.ask_human(payload.task_id, "two?")
        return [first.content, second.content]

    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    await nexus.send("context_update", says("1", "100.000002"))
    await nexus.next("post_message")
    await nexus.send("context_update", says("2", "100.000003"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 3)
    assert nexus.of("task_update")[2].payload["result"] == ["1", "2"]


async def test_a_task_stays_blocked_until_the_last_of_its_questions_is_answered(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> list[str]:
        asked = (client.ask_human(payload.task_id, text) for text in ("one?", "two?"))
        return [answer.content for answer in await asyncio.gather(*asked)]

    await client.connect()
    await nexus.assign("t")
    await nexus.until(lambda: len(nexus.of("post_message")) == 2)
    await nexus.send("context_update", says("1", "100.000005"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 3)
    await nexus.send("context_update", says("2", "100.000006"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 4)
    moves = [call.payload["status"] for call in nexus.of("task_update")]
    assert moves == ["BLOCKED_ON_HUMAN", "BLOCKED_ON_HUMAN", "BLOCKED_ON_HUMAN", "DONE"]


async def test_nobody_answering_is_an_error_and_the_task_goes_on(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    asking(client, timeout=60)
    await client.connect()
    await nexus.assign("t")
    await clock.timer(low=60, high=60)
    clock.advance(30)
    clock.advance(30)
    await nexus.until(lambda: len(nexus.of("task_update")) == 3)
    blocked, resumed, failed = (call.payload for call in nexus.of("task_update"))
    assert (blocked["status"], resumed["status"]) == ("BLOCKED_ON_HUMAN", "IN_PROGRESS")
    assert failed["error"] == "HumanTimeout: nobody answered within 60 s: 'Which branch?'"


async def test_a_question_that_cannot_be_posted_unblocks_the_task(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    asking(client)
    nexus.answers["post_message"] = lambda _call: refused("forbidden", message="muted")
    await client.connect()
    await nexus.assign("t")
    await nexus.until(lambda: len(nexus.of("task_update")) == 3)
    statuses = [call.payload["status"] for call in nexus.of("task_update")]
    assert statuses == ["BLOCKED_ON_HUMAN", "IN_PROGRESS", "FAILED"]
    assert nexus.of("task_update")[2].payload["error"] == "Forbidden: muted"


async def test_a_question_about_a_lost_task_ends_with_it(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    ended: asyncio.Queue[BaseException] = asyncio.Queue()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await client.block_task(payload.task_id)

    @client.on_wake_up
    async def ask(payload: oblivion.WakeUpPayload) -> None:
        try:
            await client.ask_human("t", "still there?")
        except oblivion.LeaseLost as error:
            await ended.put(error)

    await client.connect()
    await nexus.assign("t")
    await nexus.next("task_update")
    await nexus.send("wake_up", {"reason": "manual", "taskId": "t"})
    await nexus.next("post_message")
    await client.send_heartbeat()
    await nexus.send("task_cancelled", {"taskId": "t", "attempt": 1, "reason": "deadline"})
    assert "deadline" in str(await asyncio.wait_for(ended.get(), 5))


async def test_an_answer_survives_a_reconnect(
    nexus: ScriptedNexus, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(clock=clock)
    asking(client)
    await client.connect()
    await nexus.assign("t")
    await nexus.next("post_message")
    await client.send_heartbeat()
    await nexus.cut()
    await clock.timer(low=5, high=6)
    clock.advance(6)
    await nexus.until(lambda: len(nexus.of("agent_ready")) == 2)
    await nexus.send("context_update", says("main", "100.000002"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert nexus.of("task_update")[1].payload["result"] == "main"


async def test_an_answer_nobody_waits_for_any_more_goes_to_the_handler(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    heard: asyncio.Queue[str] = asyncio.Queue()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        await client.block_task(payload.task_id)

    @client.on_context_update
    async def hear(payload: ContextUpdatePayload) -> None:
        await heard.put(payload.content)

    await client.connect()
    await nexus.assign("t")
    await nexus.next("task_update")
    asked = asyncio.ensure_future(client.ask_human("t", "what?"))
    await nexus.next("post_message")
    await client.send_heartbeat()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await nexus.send("context_update", says("too late", "100.000002"))
    assert await asyncio.wait_for(heard.get(), 5) == "too late"


async def test_a_question_offers_choices_and_any_answer_counts(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> str:
        answer = await client.ask_human(payload.task_id, "Which?", choices=("main", "next"))
        return answer.content

    await client.connect()
    await nexus.assign("t")
    question = (await nexus.next("post_message")).payload
    assert (question["choices"], question["kind"]) == (["main", "next"], "question")
    await client.send_heartbeat()
    await nexus.send("context_update", says("neither: use dev", "100.000002"))
    await nexus.until(lambda: len(nexus.of("task_update")) == 2)
    assert nexus.of("task_update")[1].payload["result"] == "neither: use dev"


async def test_wrong_choices_are_refused_before_the_task_is_blocked(
    nexus: ScriptedNexus, make_client: MakeClient
) -> None:
    client = make_client()
    refusals: list[str] = []

    @client.on_task_assigned
    async def handle(payload: TaskAssignedPayload) -> None:
        for choices in (["a"] * 2, [str(n) for n in range(26)], ["x" * 201], [" "]):
            with pytest.raises(oblivion.InvalidArgument) as refused:
                await client.ask_human(payload.task_id, "Which?", choices=choices)
            refusals.append(str(refused.value))

    await client.connect()
    await nexus.assign("t")
    await nexus.until(lambda: len(nexus.of("task_update")) == 1)
    assert nexus.of("task_update")[0].payload["status"] == "DONE"
    assert [refusal.split(" ")[0] for refusal in refusals] == ["choices", "choices", "each", "each"]
