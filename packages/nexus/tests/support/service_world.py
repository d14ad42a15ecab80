"""Where tests call services directly: a migrated database, a clock that stands still, a team."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from fake_time import FakeTime
from nexus.domain.limits import Limits
from nexus.domain.principal import Principal, Role
from nexus.services import agents, groups, handover, installation, projects, sessions, tasks
from nexus.services.sessions import SessionRef
from nexus.store import Tx, open_database
from nexus.store.schema import agent_events
from nexus.store.tx import Row
from oblivion.protocol import (
    AgentReady,
    DispatchPolicy,
    Task,
    TaskStatus,
    TaskUpdate,
)

P = ParamSpec("P")
R = TypeVar("R")
NODE = "node-1"


class ServiceWorld:
    """Runs each service in a transaction of its own, as the unit of work does."""

    def __init__(self, database: str | Path) -> None:
        self.time = FakeTime()
        self.limits = Limits()
        self.database = open_database(database)
        self.database.migrate()
        self.woken: set[str] = set()
        tenant_id = self.run(installation.bootstrap)
        self.admin = Principal(tenant_id=tenant_id, client_id="admin", role=Role.ADMIN)
        self.run(groups.create, self.admin, groups.CreateGroup(name="Team", slug="team"))
        self.project("work")
        self.project("race", policy=DispatchPolicy.CLAIM)

    def run(self, service: Callable[Concatenate[Tx, P], R], *args: P.args, **more: P.kwargs) -> R:
        """Run a service and commit; an error rolls everything back."""
        with self.database.writer.begin() as connection:
            tx = Tx(connection, self.time())
            result = service(tx, *args, **more)
        self.woken |= tx.wakes
        return result

    def project(self, slug: str, policy: DispatchPolicy = DispatchPolicy.ASSIGN) -> None:
        """Make a project of the team."""
        wish = projects.CreateProject(
            group_id="team", name=slug.title(), slug=slug, dispatch_policy=policy
        )
        self.run(projects.create, self.admin, wish)

    def agent(self, client_id: str, *, capabilities: tuple[str, ...] = ()) -> str:
        """Make an agent of the team and return its id."""
        wish = agents.CreateAgent(
            name=client_id.title(),
            client_id=client_id,
            group_ids=["team"],
            capabilities=list(capabilities),
        )
        return self.run(agents.create, self.admin, wish, "hash").id

    def connect(self, agent_id: str, **announcement: Any) -> SessionRef:
        """Connect an agent and have it announce itself."""
        ref = self.run(sessions.open_session, agent_id, NODE)
        self.announce(ref, **announcement)
        return ref

    def announce(self, ref: SessionRef, **announcement: Any) -> Any:
        """Send ``agent_ready``."""
        ready = AgentReady(version="1", acks=True, **announcement)
        return self.run(handover.agent_ready, ref, ready, self.limits)

    def task(self, title: str = "A task", *, project: str = "work", **more: Any) -> Task:
        """Make a task."""
        wish = tasks.CreateTask(project_id=project, title=title, **more)
        return self.run(tasks.create, self.admin, wish)

    def show(self, task_id: str) -> Task:
        """Return a task as it is now."""
        return self.run(tasks.show, self.admin, task_id)

    def events_of(self, agent_id: str) -> list[Row]:
        """Return what the agent has not acknowledged."""
        is_pending = (agent_events.c.agent_id == agent_id) & agent_events.c.acked_at.is_(None)
        query = agent_events.select().where(is_pending).order_by(agent_events.c.seq)
        return list(self.run(lambda tx: tx.rows(query)))


def done(task: Task, attempt: int = 1, **more: Any) -> TaskUpdate:
    """Return the holder's word that it is done."""
    return update(task, TaskStatus.DONE, attempt, **more)


def update(task: Task, status: TaskStatus, attempt: int = 1, **more: Any) -> TaskUpdate:
    """Return a move by the holder."""
    return TaskUpdate(task_id=task.id, attempt=attempt, status=status, **more)
