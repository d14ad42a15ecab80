"""Where it is said what the rules choose from; what is named often is chosen often."""

from dataclasses import dataclass

from hypothesis import strategies as st

from nexus.services.tasks import CreateTask
from oblivion.protocol import TaskStatus
from traces.machine.base import Voice

AGENTS = st.sampled_from([*"ab" * 4, "c", "x"])
AGES = st.sampled_from([*[0] * 7, 1])
NODES = st.sampled_from(["node-1", "node-1", "node-1", "node-2"])
TASKS = st.integers(0, 7)
CALL_IDS = st.sampled_from([None, None, "new", "new", "last"])
SPEAKERS = st.builds(Voice, name=AGENTS, call_id=CALL_IDS, age=AGES)

SKILL_SETS = st.sampled_from([[], ["code"], ["code"], ["draw"], ["code", "draw"]])
NEEDS = st.sampled_from([*[()] * 5, ("code",), ("code",), ("draw",), ("code", "draw"), ("fly",)])
ACTIVE = st.sampled_from([*["held"] * 4, "none", "some", "stale", "invented", "others"])
ATTEMPTS = st.sampled_from([*[0] * 7, -1, 1])
_USUAL = [TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED_ON_HUMAN, TaskStatus.DONE, TaskStatus.FAILED]
USUAL_MOVES = st.sampled_from([*_USUAL, TaskStatus.TODO, TaskStatus.BLOCKED_ON_HUMAN])
MOVES = st.sampled_from([*_USUAL, *TaskStatus])
PERSONS_MOVES = st.sampled_from(
    [*TaskStatus, TaskStatus.CANCELLED, TaskStatus.TODO, TaskStatus.TODO]
)
TEXTS = st.sampled_from(["hello", "@a look", "@agent-b and @x and @c", "@nexus go on", "@a @b"])
PROJECTS = st.sampled_from(
    [*["work"] * 5, *["race"] * 3, "closing", "closing", "fading", "fading", "other", "foreign"]
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A task that a person wants done."""

    place: str
    skills: tuple[str, ...]
    priority: int
    max_attempts: int
    timeout: int | None

    def command(self, project_id: str) -> CreateTask:
        """Return the command that makes it."""
        return CreateTask(
            project_id=project_id,
            title="A task",
            priority=self.priority,
            required_capabilities=list(self.skills),
            max_attempts=self.max_attempts,
            timeout_seconds=self.timeout,
        )


WISHES = st.builds(
    Wish,
    place=PROJECTS,
    skills=NEEDS,
    priority=st.sampled_from([3, 3, 3, 1, 2, 4]),
    max_attempts=st.integers(1, 3),
    timeout=st.sampled_from([None, None, 30, 3600]),
)


def mentions(text: str) -> frozenset[str]:
    """Return the agents that one of the texts above mentions, and ``nexus`` itself."""
    called = text.replace("@agent-", "@")
    return frozenset(name for name in ("a", "b", "c", "x", "nexus") if f"@{name}" in called)
