"""What is kept of those who say too much is as much as it takes to judge them, and no more."""

import sqlalchemy as sa

from letters import all_of
from nexus.domain.noise import AGENT_A_MINUTE
from nexus.integrations.slack import boxes, noise
from nexus.services import retention
from nexus.store import Tx, schema
from nexus.store.tx import Row
from oblivion.protocol import Task
from service_world import ServiceWorld

MINUTES = 4
SECONDS = MINUTES * 60


def spoken(world: ServiceWorld, agent_id: str, task: Task, second: int) -> Row:
    """Return what the feed tells of a message that came then."""
    data = {"text": f"word {second}", "kind": "message", "is_human": False, "author": "Chatty"}
    return {
        "id": second,
        "tenant_id": world.admin.tenant_id,
        "agent_id": agent_id,
        "project_id": task.project_id,
        "task_id": task.id,
        "at": world.time() + second * 1_000,
        "data": data,
    }


def kept(tx: Tx) -> int:
    return int(tx.scalar(sa.select(sa.func.count()).select_from(schema.slack_said)))


def test_what_is_held_back_does_not_pile_up_and_is_told_once(
    world: ServiceWorld,
) -> None:
    agent_id, task = world.agent("chatty"), world.task("Talk")
    entries = [spoken(world, agent_id, task, second) for second in range(SECONDS)]

    def speak(tx: Tx) -> tuple[list[int], int]:
        """Return in which seconds something was shown, and how much was kept at most."""
        judged = [(noise.admit(tx, entry), entry["id"], kept(tx)) for entry in entries]
        return [second for is_shown, second, _ in judged if is_shown], max(
            number for *_, number in judged
        )

    shown, most = world.run(speak)
    notices = [int(key.split(":")[1]) for key in world.run(all_of, boxes.OUT)]
    begins = range(0, SECONDS, 60)
    assert shown == [begin + second for begin in begins for second in range(AGENT_A_MINUTE)]
    assert notices == [AGENT_A_MINUTE], "once, as it goes on and on"
    assert most <= len(shown) + 11, "those of the last ten seconds, and the newest before"

    world.time.advance(seconds=SECONDS + 3_601)
    world.run(retention.prune)
    assert world.run(kept) == 0, "also when nobody speaks any more"
