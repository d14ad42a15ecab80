"""Random orders of asking, approving, denying, expiring, swapping, replaying and restarting.

Whatever the order: what needs approval happens only when a person approved exactly that, what was
done once is not done twice, and in the end every call has exactly one answer.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from nexus.domain.errors import Conflict
from nexus.domain.tool_calls import FINAL_STATES
from nexus.domain.tool_policy import Effect
from nexus.services import tool_rules, tool_runs
from nexus.services.sessions import SessionRef
from nexus.store import Tx
from nexus.store.tool_tables import tool_calls as table
from nexus.store.tx import Row
from oblivion.protocol import EventType
from tool_traces import ToolTraces

TRACES = 400
BATCH = 10
"""Of ten examples Hypothesis makes up each anew; of more, most repeat what came before."""
STEPS = 30

NUMBERS = st.integers(0, 1)
ACTIONS = st.sampled_from(["echo.say", "echo.read"])
"""The first needs approval, the second may be made twice."""

WHICH = st.integers(0, 5)


@dataclass(kw_only=True)
class Asked:
    """What is known of one call from outside."""

    action: str
    text: str
    approved: str | None = None
    denied: bool = False
    swapped: bool = False
    made: int = 0
    answers: int = 0
    ended: str | None = None


class Calls(RuleBasedStateMachine):
    """Agents, people, intruders and restarts, in any order."""

    world: ClassVar[ToolTraces]

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.calls: dict[str, Asked] = {}
        self.lives = 0

    @initialize()
    def begin(self) -> None:
        self.stack.enter_context(self.world.trace())
        self.agent_id = self.world.members[0].id
        self.world.allow("echo.say", requires_approval=True, approval_seconds=60)
        self.world.allow("echo.read", timeout_seconds=30)
        self.ref: SessionRef = self.world.connect(self.agent_id)

    @rule(number=NUMBERS, action=ACTIONS, text=st.sampled_from("aaab"), prompt=st.booleans())
    def ask(self, number: int, action: str, text: str, prompt: bool) -> None:
        """Ask anew, or the same once more, or something else under the same id."""
        self._ask(number, action, text)
        if prompt:
            self.look()

    def _ask(self, number: int, action: str, text: str) -> None:
        request_id = f"{number}-{action}"
        known = {row["request_id"]: row["id"] for row in self.world.run(self._all)}
        call_id = known.get(request_id)
        params = {"text": text}
        if call_id is not None and self.calls[call_id].text != text:
            with pytest.raises(Conflict):
                self.world.request(self.ref, action, params, request_id=request_id)
            return
        got = self.world.request(self.ref, action, params, request_id=request_id)
        assert call_id in {None, got}
        asked = self.calls.setdefault(got, Asked(action=action, text=text))
        asked.answers += asked.ended is not None

    @rule()
    def look(self) -> None:
        for start in self.world.look(f"life-{self.lives}"):
            asked = self.calls[start.call_id]
            asked.made += 1
            assert start.params == {"text": asked.text}, "what is made is what was asked"
            assert not asked.swapped
            if asked.action == "echo.say":
                assert asked.approved == asked.text, "by a person, and exactly this"
                assert asked.made == 1
        self._note_ends()

    @rule(which=WHICH, approve=st.sampled_from([True, True, False]), prompt=st.booleans())
    def decide(self, which: int, approve: bool, prompt: bool) -> None:
        """Decide about a call that waits, or about another one."""
        self._decide(which, approve)
        if prompt:
            self.look()

    @rule(which=WHICH, approve=st.booleans())
    def decide_too_late(self, which: int, approve: bool) -> None:
        """The time for a decision is over, and Nexus has not looked yet."""
        self.world.time.advance(seconds=61)
        self._decide(which, approve)

    def _decide(self, which: int, approve: bool) -> None:
        call_id = self._one(which, "pending_approval")
        if call_id is None:
            return
        before = self.world.call(call_id)
        try:
            self.world.decide(call_id, approve=approve)
        except Conflict:
            over = before["due_at"] <= self.world.time.now
            assert before["state"] != "pending_approval" or over
            return
        assert before["state"] == "pending_approval"
        assert before["due_at"] > self.world.time.now, "not when the time is over"
        asked = self.calls[call_id]
        assert asked.approved is None, "a decision is made once"
        assert not asked.denied
        asked.approved = before["params"]["text"] if approve else None
        asked.denied = not approve

    @rule(which=WHICH)
    def swap(self, which: int) -> None:
        """Somebody writes other parameters into the database, before or after the approval."""
        call_id = self._one(which, "decided", "pending_approval", "received", certainly=True)
        if call_id is None:
            return
        self.world.run(lambda tx: tx.update(table, {"params": {"text": "swapped"}}, id=call_id))
        self.calls[call_id].swapped = True

    @rule(which=WHICH)
    def end(self, which: int) -> None:
        """A tool comes to an end, perhaps of a call that was given up."""
        call_id = self._one(which, "running")
        if call_id is not None:
            self.world.end(call_id, "data")
            self._note_ends()

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """The process dies, or stops in good order; the agent comes back."""
        if clean:
            self.world.run(tool_runs.recover, self.world.keeper(f"life-{self.lives}"), alone=False)
        self.lives += 1
        self.world.run(tool_runs.recover, self.world.keeper(f"life-{self.lives}"), alone=True)
        self.ref = self.world.connect(self.agent_id)
        self.look()

    @rule(seconds=st.sampled_from([1, 1, 3, 36, 61]))
    def time_passes(self, seconds: int) -> None:
        self.world.time.advance(seconds=seconds)

    @rule()
    def change_the_rules(self) -> None:
        """What is denied now was perhaps approved before."""
        rules = self.world.run(tool_rules.shown, self.world.admin.tenant_id, ())
        denials = [one.id for one in rules if one.rule["effect"] == "deny"]
        if denials:
            self.world.run(tool_rules.remove, self.world.admin, denials[0])
        else:
            self.world.allow("echo.*", effect=Effect.DENY)

    def teardown(self) -> None:
        if not hasattr(self, "ref"):
            return
        try:
            for _ in range(3):  # whatever goes on: let all time be over
                self.world.time.advance(seconds=3700)
                self.look()
            assert all(asked.ended is not None for asked in self.calls.values())
        finally:
            self.stack.close()

    @staticmethod
    def _all(tx: Tx) -> Sequence[Row]:
        return tx.rows(table.select())

    def _one(self, which: int, *states: str, certainly: bool = False) -> str | None:
        """Return a call that stands in one of these states, else perhaps any other."""
        rows = self.world.run(self._all)
        there = [row["id"] for row in rows if row["state"] in states]
        others = [] if certainly else [row["id"] for row in rows]
        chosen = there if there and which else others
        return chosen[which % len(chosen)] if chosen else None

    def _note_ends(self) -> None:
        """Hold the answers that the agent was told to those that it must have been told."""
        for row in self.world.run(self._all):
            asked = self.calls[row["id"]]
            if asked.ended is not None:
                assert row["state"] == asked.ended, "an end is final"
            elif row["state"] in FINAL_STATES:
                asked.ended, asked.answers = row["state"], 1
                assert asked.made or row["state"] != "done"
                assert not (asked.swapped and row["state"] == "done")
                assert not (asked.denied and row["state"] != "denied")
        told = Counter(
            one["requestId"] for one in self.world.told(self.agent_id, EventType.TOOL_RESULT)
        )
        owed = Counter(
            {
                row["request_id"]: self.calls[row["id"]].answers
                for row in self.world.run(self._all)
                if self.calls[row["id"]].answers
            }
        )
        assert told == owed


@pytest.mark.timeout(600)  # a trace that breaks something is made shorter for minutes
def test_no_order_of_events_makes_what_nobody_approved_or_twice_what_is_done_once(
    traced: ToolTraces, database_kind: str, request: pytest.FixtureRequest
) -> None:
    given = request.config.getoption("--hypothesis-seed")
    first = random.SystemRandom().randrange(2**32) if given is None else int(given)
    traces = TRACES if database_kind == "sqlite" else TRACES // 20
    chosen = settings(
        max_examples=BATCH,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )

    class Traces(Calls):
        world = traced

    for number in range(first, first + traces // BATCH):
        try:
            run_state_machine_as_test(seed(number)(Traces), settings=chosen)
        except BaseException as error:
            error.add_note(f"replay with --hypothesis-seed={number}")
            raise
