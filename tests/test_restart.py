"""Nexus goes and comes back, by order or by force, with many who wait for it."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kill_journal import What
from kill_remains import read_stored
from kill_scene import Scene, open_scene
from kill_server import MortalNexus, Zygote

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
DEADLINE_S = 30.0
COPIES = 50
AGENTS = 200


async def test_fifty_copies_of_one_keyed_request_at_once_make_one_task(scene: Scene) -> None:
    await scene.live()
    answers = await asyncio.gather(*(scene.ask() for _ in range(COPIES)))
    assert len({answer.json()["id"] for answer in answers if answer is not None}) == 1
    replayed = [a for a in answers if a is not None and "Idempotency-Replayed" in a.headers]
    assert len(replayed) == COPIES - 1
    await scene.nexus.kill()
    assert len(read_stored(scene.nexus.database).tasks) == 1


@pytest.mark.parametrize("point", ["commit.before", "commit.after", "answer:20"])
async def test_fifty_copies_that_meet_with_a_kill_make_one_task(scene: Scene, point: str) -> None:
    await scene.live(point, armed_by="nexus.services.deeds")
    first = await asyncio.gather(*(scene.ask() for _ in range(COPIES)))
    await scene.nexus.end_at_failpoint()
    await scene.live()
    again = await asyncio.gather(*(scene.ask() for _ in range(COPIES)))
    assert None in first
    assert len({answer.json()["id"] for answer in (*first, *again) if answer is not None}) == 1
    async with scene.working():
        await scene.prove_done()


async def test_two_hundred_agents_resume_after_a_kill_and_nothing_is_lost(
    tmp_path: Path, zygote: Zygote
) -> None:
    async with open_scene(zygote, tmp_path, agents=AGENTS) as scene:
        await scene.live()
        for agent in scene.agents:
            agent.may_end.clear()
        async with scene.working():
            for number in range(AGENTS):
                await scene.ask(f"task {number}")
            await scene.until(What.ACKED, count=AGENTS)
            await scene.nexus.kill()
            await scene.live()
            await scene.until(What.READY, count=AGENTS, life=2, ok=True)
            for agent in scene.agents:
                agent.may_end.set()
            await scene.until(What.REPLIED, count=AGENTS, status="DONE")
        await scene.prove()
        started = list(scene.journal.of(What.STARTED))
        assert len(started) == len({entry.task for entry in started}) == AGENTS


async def test_a_signal_tells_the_agents_when_to_come_back_and_they_go_on(scene: Scene) -> None:
    (agent,) = scene.agents
    agent.may_end.clear()
    await scene.live()
    await scene.ask()
    async with scene.working():
        await scene.until(What.ACKED)
        scene.nexus.signal(signal.SIGTERM)
        assert await scene.nexus.end() == 0
        told = [payload for type_, payload in agent.hints if type_ == "server_draining"]
        await scene.live()
        await scene.until(What.READY, life=2, ok=True)
        agent.may_end.set()
        await scene.prove_done()
    assert [payload["reconnectAfterMs"] >= 0 for payload in told] == [True]


async def test_a_second_signal_ends_nexus_at_once(scene: Scene) -> None:
    await scene.live()
    (agent,) = scene.agents
    async with scene.working():
        await scene.until(What.READY)
        with _request_that_never_ends(scene.nexus):
            scene.nexus.signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE_S):
                while not any(type_ == "server_draining" for type_, _ in agent.hints):
                    await agent.news.wait()
            scene.nexus.signal(signal.SIGTERM)
            async with asyncio.timeout(5):  # half of what a drain may take
                await scene.nexus.end()


@contextlib.contextmanager
def _request_that_never_ends(nexus: MortalNexus) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", nexus.port)) as connection:
        connection.sendall(
            b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        yield
