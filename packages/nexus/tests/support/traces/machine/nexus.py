"""Where Nexus acts by itself: it hands out, offers, reaps and prunes, and time goes by."""

from collections.abc import Callable
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import rule

from nexus.services import attempts, events, installation, retention, sessions, watch
from nexus.store import Tx
from service_world import NODE
from traces.machine.base import Machine
from traces.machine.choices import NODES
from traces.model import attempts as model_attempts
from traces.model import events as model_events
from traces.model import sessions as model_sessions


class NexusRules(Machine):
    """What happens without anybody's asking."""

    @rule(node=NODES)
    def dispatch(self, node: str) -> None:
        self.lease_next(node)

    @rule()
    def care(self) -> None:
        """Do what the caretaker does each second."""
        self.step(lambda: model_attempts.expire(self.model), attempts.expire)

        def closed(tx: Tx) -> list[str]:
            return sorted(sessions.close_silent(tx, self.world.limits.offline_after_ms))

        self.step(lambda: model_sessions.close_silent(self.model), closed)

    @rule(what=st.sampled_from(["restart", "prune", "absence", "month", "week", "watch"]))
    def now_and_then(self, what: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "restart": self._restart,
            "prune": self._prune,
            "absence": self._let_a_week_pass,
            "month": self._let_a_month_pass,
            "week": self._hear_everything,
            "watch": self._watch,
        }
        acts[what]()

    def _prune(self) -> None:
        def forgotten() -> None:
            for agent_id in model_events.drop_unheard(self.model):
                model_sessions.disconnect(self.model, agent_id)
            model_events.prune(self.model)

        self.step(forgotten, retention.prune)

    def _watch(self) -> None:
        lease_ms = self.world.limits.lease_ms
        self.step(lambda: model_sessions.watch(self.model), watch.note, lease_ms)

    def _restart(self) -> None:
        self.step(
            lambda: model_sessions.restart(self.model),
            installation.start_alone,
            self.world.limits.lease_ms,
        )

    def _let_a_week_pass(self) -> None:
        """What was heard goes, what was not stays."""
        self.world.time.advance(seconds=8 * 24 * 3600)
        self._prune()

    def _let_a_month_pass(self) -> None:
        """What was not heard by now goes, too, and its agents begin anew."""
        self.world.time.advance(seconds=31 * 24 * 3600)
        self._prune()

    def _hear_everything(self) -> None:
        """Nothing is left of what was told in a week: the numbers must go on all the same."""
        for agent_id in self.model.agents:
            pending = model_events.pending(self.model, agent_id)
            self.step(
                partial(model_events.acknowledge, self.model, agent_id, pending),
                partial(_acknowledge, agent_id=agent_id, seqs=pending),
                by=agent_id,
            )
        self._let_a_week_pass()

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 2, 5]))
    def time_passes(self, seconds: float) -> None:
        self.world.time.advance(seconds=seconds)
        if self.prompt:
            self.lease_next(NODE)

    @rule(seconds=st.sampled_from([31, 61, 91, 121, 150]))
    def much_time_passes(self, seconds: float) -> None:
        """Deadlines pass, agents fall silent, leases run out."""
        self.time_passes(seconds)
        if self.prompt:
            self.care()

    @rule(hours=st.sampled_from([1, -1, 1, -1, 25]))
    def the_clock_jumps(self, hours: int) -> None:
        """Perhaps while somebody watches, perhaps not."""
        if self.prompt:
            self._watch()
        self.world.time.advance(seconds=3600 * hours)
        if self.prompt:
            self._watch()
            self.care()


def _acknowledge(tx: Tx, *, agent_id: str, seqs: list[int]) -> None:
    events.acknowledge(tx, agent_id, seqs)
