"""Where agents are seen: all of them as cards that are searched and filtered, and each one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer.feed import Sentence, sentences
from nexus.observer.visit import Visit, further
from nexus.services import agents, approval, groups, roster, tasks, views
from nexus.services.resources import Agent, Group
from nexus.services.roster import AgentFilter
from nexus.services.tasks import TaskFilter
from nexus.store.tx import Tx
from oblivion.protocol import Task

_CARDS = 48
_CHOICES = 200
_HISTORY = 60
_TASKS = 12
_FILTERS = ("text", "standing", "group_id", "capability")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of agents; ``titles`` are those of the tasks that they have."""

    agents: list[Agent]
    more: bool
    titles: Mapping[str, str]
    groups: list[Group]
    total: int
    online: int
    pending: int


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An agent with what it does, did, and could join; ``own`` is what it can without saying so."""

    agent: Agent
    own: list[str]
    roles: Mapping[str, str]
    tasks: list[Task]
    history: list[Sentence]
    groups: list[Group]


async def cards(visit: Visit) -> Response:
    """List agents, newest first, those that fit."""
    asked = visit.asked_of(*_FILTERS)
    cursor = visit.asked.get("cursor")
    wanted = AgentFilter.model_validate({**asked, "cursor": cursor, "limit": _CARDS})
    found = await visit.read(lambda tx, caller: _found(tx, caller, wanted))
    next_page = further(asked, found.agents[-1].id if found.more else None)
    return visit.page("agents.html", found=found, asked=asked, cursor=cursor, next_page=next_page)


def _found(tx: Tx, caller: Principal, wanted: AgentFilter) -> Found:
    rows = roster.search(tx, caller.tenant_id, wanted)
    shown = agents.present(tx, rows[:_CARDS])
    total, online = agents.counts(tx, caller.tenant_id)
    return Found(
        agents=shown,
        more=len(rows) > _CARDS,
        titles=roster.titles(tx, [id_ for agent in shown for id_ in agent.current_task_ids]),
        groups=open_groups(tx, caller),
        total=total,
        online=online,
        pending=approval.count_pending(tx, caller.tenant_id).count,
    )


def open_groups(tx: Tx, caller: Principal) -> list[Group]:
    """Return the groups that take agents."""
    rows = groups.list_all(tx, caller.tenant_id, limit=_CHOICES, cursor=None)
    return [groups.view(row) for row in rows[:_CHOICES]]


async def page(visit: Visit) -> Response:
    """Show an agent, by its id or client id."""
    agent_id = visit.names["agent_id"]
    return visit.page(
        "agent.html", shown=await visit.read(lambda tx, caller: _shown(tx, caller, agent_id))
    )


def _shown(tx: Tx, caller: Principal, agent_id: str) -> Shown:
    agent = agents.show(tx, caller.tenant_id, agent_id)
    mine = tasks.search(tx, caller.tenant_id, TaskFilter(agent_id=agent.id, limit=_TASKS))
    return Shown(
        agent=agent,
        own=agents.row(tx, caller.tenant_id, agent.id)["capabilities"],
        roles=roster.roles(tx, agent.id),
        tasks=[views.task(row) for row in mine[:_TASKS]],
        history=sentences(tx, roster.history(tx, agent.id, limit=_HISTORY)),
        groups=open_groups(tx, caller),
    )


async def new(visit: Visit) -> Response:
    """Show the form for a new agent."""
    shown: dict[str, Any] = {"groups": await visit.read(open_groups)}
    return visit.page("agent_new.html", **shown)
