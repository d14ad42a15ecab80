"""Nexus dies at each step of a task, once: what its callers and agents see when it is back."""

import pytest

from kill_journal import What
from kill_remains import read_stored
from kill_scene import Scene
from nexus.failpoints import NAMES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest.mark.parametrize("point", NAMES)
async def test_a_task_is_done_once_whichever_point_nexus_dies_at(scene: Scene, point: str) -> None:
    await scene.live(point, armed_by="nexus.services.deeds")
    async with scene.working():
        await scene.ask()
        await scene.nexus.end_at_failpoint()
        await scene.live()
        await scene.ask()
        await scene.prove_done()


@pytest.mark.parametrize("point", ["accept", "commit.before"])
async def test_a_request_that_died_before_its_commit_was_never_there(
    scene: Scene, point: str
) -> None:
    await scene.live(point, armed_by="nexus.services.deeds")
    assert await scene.ask() is None
    await scene.nexus.end_at_failpoint()
    assert read_stored(scene.nexus.database).tasks == []
    await scene.live()
    again = await scene.ask()
    assert again is not None
    assert "Idempotency-Replayed" not in again.headers
    async with scene.working():
        await scene.prove_done()


@pytest.mark.parametrize("point", ["commit.after", "answer"])
async def test_a_request_that_died_after_its_commit_is_answered_from_what_was_stored(
    scene: Scene, point: str
) -> None:
    await scene.live(point, armed_by="nexus.services.deeds")
    assert await scene.ask() is None
    await scene.nexus.end_at_failpoint()
    stored = read_stored(scene.nexus.database).tasks
    await scene.live()
    again = await scene.ask()
    assert again is not None
    assert again.headers["Idempotency-Replayed"] == "true"
    assert [task.id for task in stored] == [again.json()["id"]]
    async with scene.working():
        await scene.prove_done()


async def test_an_event_that_was_not_sent_comes_in_the_next_life(scene: Scene) -> None:
    await scene.live("emit.before")
    await scene.ask()
    async with scene.working():
        await scene.nexus.end_at_failpoint()
        await scene.live()
        await scene.prove_done()
    assert scene.received(life=1) == []
    assert [event.seq for event in scene.received(life=2)] == [1]


async def test_an_event_that_was_handed_to_the_connection_comes_again_as_the_same(
    scene: Scene,
) -> None:
    (agent,) = scene.agents
    agent.may_end.clear()
    await scene.live("emit.after")
    await scene.ask()
    async with scene.working():
        await scene.nexus.end_at_failpoint()
        stored = read_stored(scene.nexus.database).events
        await scene.live()
        await scene.until(What.RECEIVED, life=2)
        agent.may_end.set()
        await scene.prove_done()
    assert [(event.seq, event.id) for event in scene.received(life=2)] == [(1, stored[0].id)]


async def test_an_event_whose_acknowledgement_was_not_stored_comes_again_and_is_not_handled_again(
    scene: Scene,
) -> None:
    (agent,) = scene.agents
    agent.may_end.clear()  # at its end it would acknowledge once more, perhaps before it is told
    await scene.live("ack.before")
    await scene.ask()
    async with scene.working():
        await scene.nexus.end_at_failpoint()
        await scene.live()
        await scene.until(What.RECEIVED, life=2)
        agent.may_end.set()
        await scene.prove_done()
    (first,), (again,) = scene.received(life=1), scene.received(life=2)
    assert (first.id, first.seq, first.digest) == (again.id, again.seq, again.digest)


async def test_an_event_whose_acknowledgement_was_stored_never_comes_again(scene: Scene) -> None:
    await scene.live("ack.after")
    await scene.ask()
    async with scene.working():
        await scene.nexus.end_at_failpoint()
        await scene.live()
        await scene.until(What.REPLIED, status="DONE")
    await scene.nexus.kill()
    assert len(scene.received(life=1)) == 1
    assert scene.received(life=2) == []


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_completion_whose_answer_was_lost_counts_once_when_it_is_said_again(
    scene: Scene, point: str
) -> None:
    (agent,) = scene.agents
    agent.may_end.clear()
    await scene.live()
    await scene.ask()
    async with scene.working():
        await scene.until(What.ACKED)
        await scene.nexus.kill()
        # After the announcement and the word that work goes on.
        await scene.live(point, armed_by="nexus.gateway.calls:3")
        agent.may_end.set()
        await scene.nexus.end_at_failpoint()
        (stored,) = read_stored(scene.nexus.database).tasks
        assert (stored.status == "DONE") == (point == "commit.after"), "it died over another commit"
        await scene.live()
        await scene.prove_done()
    said = [e for e in scene.journal.of(What.CALLED) if e.status == "DONE"]
    assert len({call.id for call in said}) == 1
