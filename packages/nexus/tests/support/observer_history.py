"""Where screenshots get a past: an hour of tasks that agents did, told as Nexus would have."""

import random
from collections.abc import Sequence
from typing import Any

from nexus.store.ids import new_id
from nexus.store.schema import tasks, tenants
from nexus.store.tx import Tx

MINUTE_MS = 60_000

_FILES = ("ledger", "refunds", "webhooks", "retries", "sessions", "invoices", "search", "signup")
_WISHES = ("Review {}.py", "Write tests for {}", "Explain the failure in {}", "Tidy up {}")


def remember(tx: Tx, project: dict[str, Any], agent_ids: Sequence[str], minutes: int = 58) -> None:
    """Store what a busy hour before now would have left."""
    chance = random.Random(7)
    tenant_id = tx.scalar(tenants.select())
    times: list[tuple[int, int]] = []
    for minute in range(minutes, 0, -1):
        for _ in range(2 + chance.randrange(4) + (3 if 20 < minute < 30 else 0)):
            made = tx.now - minute * MINUTE_MS + chance.randrange(50_000)
            waited = chance.choice([8, 11, 14, 19, 26, 40, 65]) * (6 if 20 < minute < 30 else 1)
            times.append((made, waited))
    in_order = sorted(new_id() for _ in times)  # as it is where there is time between them
    for task_id, when in zip(in_order, sorted(times), strict=True):
        whose = {"id": task_id, "tenant_id": tenant_id, "holder": chance.choice(list(agent_ids))}
        _one(tx, chance, project, whose, when)


def _one(
    tx: Tx,
    chance: random.Random,
    project: dict[str, Any],
    whose: dict[str, str],
    times: tuple[int, int],
) -> None:
    made, waited = times
    tenant_id, agent_id = whose["tenant_id"], whose["holder"]
    took = 4_000 + chance.randrange(70_000)
    title = chance.choice(_WISHES).format(chance.choice(_FILES))
    task = {
        "id": whose["id"],
        "tenant_id": tenant_id,
        "project_id": project["id"],
        "group_id": project["groupId"],
        "title": title,
        "description": "",
        "status": "DONE",
        "priority": chance.choice([2, 3, 3, 3, 4]),
        "required_capabilities": [],
        "metadata": {},
        "attempt": 1,
        "attempts_used": 1,
        "max_attempts": 3,
        "holder_agent_id": agent_id,
        "claimed_at": made + waited,
        "not_before": made,
        "created_at": made,
        "updated_at": made + waited + took,
        "finished_at": made + waited + took,
        "result": "Nothing to complain about.",
    }
    tx.insert(tasks, task)
    told = {"tenant_id": tenant_id, "project_id": project["id"], "task_id": task["id"]}
    for type_, at, who in (
        ("task_created", made, None),
        ("task_assigned", made + waited, agent_id),
        ("task_started", made + waited + 3, agent_id),
        ("task_done", made + waited + took, agent_id),
    ):
        by = {"by": "admin"} if who is None else {}
        tx.note({**told, "at": at, "type": type_, "agent_id": who, "data": {"title": title, **by}})
