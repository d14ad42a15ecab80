"""Random orders of what a task waits for: its agent's questions, and approvals of its calls.

It is BLOCKED_ON_HUMAN exactly as long as one of them waits for a person.
"""

import contextlib
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nexus.domain.errors import InvalidTransition
from nexus.services import attempts, leases, tasks, threads
from nexus.services.tasks import SetStatus
from oblivion.protocol import TaskStatus, TaskUpdate
from tool_traces import ToolTraces

PATIENCE_S = 60
MOVES = st.sampled_from([TaskStatus.BLOCKED_ON_HUMAN, TaskStatus.IN_PROGRESS])


class Waiting(RuleBasedStateMachine):
    """An agent at a task that asks people and calls tools, and people who answer or do not."""

    world: ClassVar[ToolTraces]

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.asks = False
        self.undecided: dict[str, int] = {}
        """The calls that wait, and until when."""
        self.requests = 0

    @initialize()
    def begin(self) -> None:
        self.stack.enter_context(self.world.trace())
        self.world.allow("*", requires_approval=True, approval_seconds=PATIENCE_S)
        self.agent = self.world.members[0].id
        self.ref = self.world.connect(self.agent)
        self.task = self.world.task()
        self._take()

    def _take(self) -> None:
        self.world.run(
            leases.claim, self.agent, self.task.id, max_concurrency=1, lease_ms=3_600_000
        )
        self.world.run(attempts.start, self.agent, self.task.id)
        self.attempt = int(self._row()["attempt"])
        self.asks = False
        self.undecided.clear()

    @rule(status=MOVES, progress=st.sampled_from([None, 0.5]))
    def agent_says(self, status: TaskStatus, progress: float | None) -> None:
        """The agent asks (``ask_human``, ``block_task``), goes on, or reports how far it is."""
        said = TaskUpdate(
            task_id=self.task.id, attempt=self.attempt, status=status, progress=progress
        )
        self.world.run(attempts.update, self.agent, said)
        self.asks = status is TaskStatus.BLOCKED_ON_HUMAN

    @rule()
    def person_says(self) -> None:
        """A person's message answers what the agent asks, and approves nothing."""
        ann = threads.Author(id="ann", name="Ann", is_human=True)
        self.world.run(threads.post, self._row(), ann, "yes")
        self.asks = False

    @rule(status=MOVES)
    def person_moves(self, status: TaskStatus) -> None:
        wish = SetStatus(status=status)
        if status is TaskStatus.IN_PROGRESS and self.undecided:
            with pytest.raises(InvalidTransition, match="waits for approval"):
                self.world.run(tasks.set_status, self.world.admin, self.task.id, wish)
            return
        self.world.run(tasks.set_status, self.world.admin, self.task.id, wish)
        self.asks = status is TaskStatus.BLOCKED_ON_HUMAN

    @rule()
    def agent_calls_a_tool(self) -> None:
        self.requests += 1
        request_id = f"r{self.requests}"
        call_id = self.world.request(self.ref, request_id=request_id, task_id=self.task.id)
        self.world.look()
        self.undecided[call_id] = self.world.time.now + PATIENCE_S * 1000

    @rule(approve=st.booleans(), which=st.integers(0, 3))
    def person_decides(self, approve: bool, which: int) -> None:
        if self.undecided:
            call_id = list(self.undecided)[which % len(self.undecided)]
            self.world.decide(call_id, approve=approve)
            del self.undecided[call_id]

    @rule(seconds=st.sampled_from([1, 30, PATIENCE_S]))
    def time_passes(self, seconds: int) -> None:
        """Nobody decides in time about some calls."""
        self.world.time.advance(seconds=seconds)
        self.world.look()
        now = self.world.time.now
        self.undecided = {one: until for one, until in self.undecided.items() if until > now}

    @rule()
    def attempt_ends(self) -> None:
        """The agent hands the task back, and takes it again: nothing of before waits."""
        back = TaskUpdate(task_id=self.task.id, attempt=self.attempt, status=TaskStatus.TODO)
        self.world.run(attempts.update, self.agent, back)
        self.world.look()
        self.world.time.advance(seconds=2)
        self._take()

    @invariant()
    def is_blocked_exactly_while_something_waits(self) -> None:
        if not hasattr(self, "task"):
            return
        waits = self.asks or bool(self.undecided)
        wanted = TaskStatus.BLOCKED_ON_HUMAN if waits else TaskStatus.IN_PROGRESS
        assert self._row()["status"] == wanted, (self.asks, self.undecided)

    def teardown(self) -> None:
        self.stack.close()

    def _row(self) -> dict[str, Any]:
        return dict(self.world.run(tasks.find, self.world.admin, self.task.id))


@pytest.mark.timeout(600)  # a trace that breaks something is made shorter for minutes
def test_a_task_is_blocked_on_a_human_exactly_while_a_person_is_waited_for(
    traced: ToolTraces, database_kind: str
) -> None:
    chosen = settings(
        max_examples=60 if database_kind == "sqlite" else 6,
        stateful_step_count=20,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )

    class Traces(Waiting):
        world = traced

    run_state_machine_as_test(Traces, settings=chosen)
