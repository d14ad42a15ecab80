"""The invariants A, L, T, D, B and S, each read off the tables as they were and are after a step.

They know nothing of the model: what both are wrong about in the same way is found here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from nexus.services import events, leases
from nexus.store.tx import Row
from oblivion.protocol import FINAL_STATUSES, HELD_STATUSES, EventType, TaskStatus
from traces.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step found and left; ``agent`` spoke, ``person`` of a tenant acted, or Nexus itself.

    ``groups`` and ``tenants`` are those of each agent; ``newly_possible`` are the pairs of task
    and agent that could be brought together since this step.
    """

    before: Snapshot
    after: Snapshot
    groups: dict[str, set[str]]
    tenants: dict[str, str]
    agent: str | None = None
    person: str | None = None
    woken: frozenset[str] = frozenset()
    newly_possible: Set[tuple[str, str]] = frozenset()

    def changed(self) -> Iterable[tuple[Row, Row]]:
        """Return the tasks that the step changed, as they were and as they are."""
        for task_id, was in self.before.tasks.items():
            now = self.after.tasks[task_id]
            if was != now:
                yield was, now

    def granted(self) -> list[Row]:
        """Return the tasks that have a new attempt."""
        old = self.before.tasks
        return [
            now
            for task_id, now in self.after.tasks.items()
            if now["attempt"] > (old[task_id]["attempt"] if task_id in old else 0)
        ]

    def activity_of(self, task_id: str) -> list[Row]:
        """Return what the feed now says of a task that it did not say before."""
        return [entry for entry in self.after.activity if entry["task_id"] == task_id]

    def told(self) -> list[Row]:
        """Return the events that the step added."""
        return [
            event
            for agent_id, told in self.after.events.items()
            for event in told
            if event["seq"] > self.before.heads.get(agent_id, 0)
        ]


def accepted_tasks_stay(step: Step) -> None:
    """A: no task vanishes, and each waits, is held or has ended."""
    assert step.before.tasks.keys() <= step.after.tasks.keys()
    known = {TaskStatus.TODO} | HELD_STATUSES | FINAL_STATUSES
    assert all(task["status"] in known for task in step.after.tasks.values())


def leases_are_whole(step: Step) -> None:
    """L: who holds a task has a lease; nobody else has, or is named, but the ender of an end."""
    for task in step.after.tasks.values():
        held = task["status"] in HELD_STATUSES
        assert (task["lease_expires_at"] is not None) == held
        assert task["deadline_at"] is None or held
        assert (task["finished_at"] is not None) == (task["status"] in FINAL_STATUSES)
        if task["status"] == TaskStatus.TODO:
            assert task["holder_agent_id"] is None
            assert task["claimed_at"] is None
        if held:
            assert task["holder_agent_id"] is not None


def attempts_fence(step: Step) -> None:
    """L: an attempt belongs to one agent; only a grant of a waiting task begins the next."""
    for was, now in step.changed():
        same = now["attempt"] == was["attempt"]
        assert same or (
            now["attempt"] == was["attempt"] + 1 and was["status"] == TaskStatus.TODO
        ), "a grant raises the attempt of a waiting task by one"
        if same and now["status"] in HELD_STATUSES:
            assert was["status"] in HELD_STATUSES, "only a grant makes a task held"
            assert now["holder_agent_id"] == was["holder_agent_id"]


def ends_are_final(step: Step) -> None:
    """T: what has ended changes by a person, and the feed says so."""
    for was, _ in step.changed():
        if was["status"] in FINAL_STATUSES:
            audited = [entry for entry in step.activity_of(was["id"]) if entry["data"].get("by")]
            assert step.person is not None
            assert audited, "a person's change of an ended task is in the feed"


def numbers_have_no_holes(step: Step) -> None:
    """D: each agent's new events continue its numbers, and its head is the last of them."""
    for agent_id, told in step.after.events.items():
        before, head = step.before.heads.get(agent_id, 0), step.after.heads[agent_id]
        fresh = [event["seq"] for event in told if event["seq"] > before]
        assert fresh == list(range(before + 1, head + 1))


def no_event_goes_in_silence(step: Step) -> None:
    """D: what was not acknowledged stays as it was, or the gap that it leaves is announced.

    What was acknowledged never comes back.
    """
    for agent_id, old in step.before.events.items():
        now = {event["seq"]: event for event in step.after.events[agent_id]}
        for event in old:
            again = now.get(event["seq"])
            if again is None and event["acked_at"] is None:
                assert event["seq"] in step.after.gaps[agent_id], "an event went unheard"
            elif event["acked_at"] is not None:
                assert again is None or again["acked_at"] == event["acked_at"]
            else:
                assert again is not None
                assert {**again, "acked_at": None} == event


def grants_are_told(step: Step) -> None:
    """D: every grant is one ``task_assigned``, to the holder, of that attempt; and no other is."""
    granted = [(t["holder_agent_id"], t["id"], t["attempt"]) for t in step.granted()]
    assert Counter(granted) == Counter(_named(step.told(), EventType.TASK_ASSIGNED))


def losses_are_told(step: Step) -> None:
    """D: who loses a lease by another's doing is told once; who ends it itself is not."""
    lost = []
    for was, now in step.changed():
        over = was["status"] in HELD_STATUSES and now["status"] not in HELD_STATUSES
        if over and was["holder_agent_id"] != step.agent:
            lost.append((was["holder_agent_id"], was["id"], was["attempt"]))
    assert Counter(lost) == Counter(_named(step.told(), EventType.TASK_CANCELLED))


def _named(told: list[Row], type_: EventType) -> list[tuple[str, str, int]]:
    return [
        (event["agent_id"], event["payload"]["taskId"], event["payload"]["attempt"])
        for event in told
        if event["type"] == type_
    ]


def work_is_bounded(step: Step) -> None:
    """B: nobody is given more than it has room for; attempts end."""
    held = Counter(
        task["holder_agent_id"]
        for task in step.after.tasks.values()
        if task["status"] in HELD_STATUSES
    )
    for task in step.granted():
        agent_id = task["holder_agent_id"]
        session = step.after.sessions.get(agent_id)
        if session is not None and session["closed_at"] is None:
            assert held[agent_id] <= session["max_concurrency"]
    for was, now in step.changed():
        if now["attempts_used"] > was["attempts_used"]:
            assert now["attempts_used"] == was["attempts_used"] + 1
            spent = now["attempts_used"] >= now["max_attempts"]
            assert not spent or now["status"] == TaskStatus.FAILED
        if now["status"] == TaskStatus.FAILED:
            assert now["error"] is not None or step.person is not None


def nothing_crosses(step: Step) -> None:
    """S: commands change tasks of their own tenant or agent; nobody hears of others' tasks."""
    for was, now in step.changed():
        for fixed in ("tenant_id", "group_id", "project_id", "created_at"):
            assert was[fixed] == now[fixed]
        if step.person is not None:
            assert now["tenant_id"] == step.person
        if step.agent is not None:
            assert step.agent in {was["holder_agent_id"], now["holder_agent_id"]}
    for task in step.granted():
        assert task["group_id"] in step.groups[task["holder_agent_id"]]
    for event in step.told():
        if event["task_id"] is not None and event["type"] != EventType.TOOL_RESULT:
            tenant = step.after.tasks[event["task_id"]]["tenant_id"]
            assert tenant == step.tenants[event["agent_id"]]


def who_should_look_is_woken(step: Step) -> None:
    """Nobody waits for a poll: what can go on wakes who sees to it."""
    assert not step.newly_possible or leases.DISPATCH in step.woken
    assert {events.topic(event["agent_id"]) for event in step.told()} <= step.woken


LAWS: tuple[Callable[[Step], None], ...] = (
    accepted_tasks_stay,
    leases_are_whole,
    attempts_fence,
    ends_are_final,
    numbers_have_no_holes,
    no_event_goes_in_silence,
    grants_are_told,
    losses_are_told,
    work_is_bounded,
    nothing_crosses,
    who_should_look_is_woken,
)
