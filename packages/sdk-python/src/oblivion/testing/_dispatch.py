"""Where waiting tasks of a fake Nexus find their agents: leased to them, or offered."""

from oblivion._clock import Clock, Timer
from oblivion.protocol import DispatchPolicy, EventType, TaskClaimedPayload
from oblivion.testing._agents import Agent, Agents, Session
from oblivion.testing._tasks import Record, Tasks


class Dispatcher:
    """Hands out what waits whenever something changed, and when a pause or a lease is over."""

    def __init__(self, clock: Clock, agents: Agents) -> None:
        self._clock = clock
        self._agents = agents
        self._timer: Timer | None = None
        self._is_at_it = False

    def look(self, tasks: Tasks) -> None:
        """Do what has become possible, and set the clock for what comes next."""
        if self._is_at_it:  # what it does itself changes things; it looks again by itself
            return
        self._is_at_it = True
        try:
            tasks.expire()
            self._lease(tasks)
            self._offer(tasks)
            self._set_timer(tasks)
        finally:
            self._is_at_it = False

    def stop(self) -> None:
        """Do nothing by the clock any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _lease(self, tasks: Tasks) -> None:
        for task in tasks.waiting(DispatchPolicy.ASSIGN):
            free = [agent for agent in self._agents if self._has_room(tasks, agent, task)]
            if free:
                chosen = min(free, key=lambda a: (len(tasks.held_by(a)), a.idle_since, a.id))
                tasks.grant(task, chosen)

    def _offer(self, tasks: Tasks) -> None:
        waiting = tasks.waiting(DispatchPolicy.CLAIM)
        for agent in self._agents:
            if agent.session is not None:
                self._tell_gone(agent, agent.session, tasks, waiting)
                self._tell_new(agent, agent.session, tasks, waiting)

    def _tell_new(
        self, agent: Agent, session: Session, tasks: Tasks, waiting: list[Record]
    ) -> None:
        for task in waiting:
            if task.id not in session.offered and self._has_room(tasks, agent, task):
                session.offered.add(task.id)
                self._agents.hint(agent, EventType.TASK_AVAILABLE, task.offer())

    def _tell_gone(
        self, agent: Agent, session: Session, tasks: Tasks, waiting: list[Record]
    ) -> None:
        gone = session.offered - {task.id for task in waiting}
        session.offered -= gone
        for task in [tasks.find(task_id) for task_id in sorted(gone)]:
            if task.is_held and task.holder is not None and task.holder is not agent:
                self._agents.hint(agent, EventType.TASK_CLAIMED, _claimed(task, task.holder))

    def _has_room(self, tasks: Tasks, agent: Agent, task: Record) -> bool:
        ready = agent.ready
        return (
            ready is not None
            and ready.accepts_tasks
            and agent.can(task.required)
            and len(tasks.held_by(agent)) < ready.max_concurrency
        )

    def _set_timer(self, tasks: Tasks) -> None:
        self.stop()
        moment = tasks.next_change()
        if moment is not None:
            wait = moment - self._clock.monotonic()
            self._timer = self._clock.call_later(wait, lambda: self.look(tasks))


def _claimed(task: Record, holder: Agent) -> TaskClaimedPayload:
    return TaskClaimedPayload(
        task_id=task.id,
        project_id="project-1",
        claimed_by_agent_id=holder.id,
        claimed_by_agent_name=holder.name,
        claimed_at=task.claimed_at,
    )
