"""Where it is kept which agents run tools for others, as long as they are connected."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import Invalid
from nexus.domain.tool_catalogue import MOST_OFFERS, Action, check_action
from nexus.services.sessions import SessionRef
from nexus.store.schema import agents, group_members, groups, sessions
from nexus.store.tool_tables import tool_calls, tool_offers
from nexus.store.tx import Row, Tx
from oblivion.protocol import ToolOffer

_LIVE = (
    sa.select(
        tool_offers, agents.c.name.label("agent_name"), agents.c.tenant_id, sessions.c.node_id
    )
    .join_from(tool_offers, sessions, sessions.c.id == tool_offers.c.session_id)
    .join(agents, agents.c.id == tool_offers.c.agent_id)
    .where(sessions.c.closed_at.is_(None), sessions.c.ready, agents.c.disabled_at.is_(None))
)


def announce(tx: Tx, ref: SessionRef, offers: Sequence[ToolOffer]) -> None:
    """Store what the agent of a session offers from now on, in the place of what it offered.

    Raises:
        Invalid: one of them cannot be offered, or there are too many.
    """
    if len(offers) > MOST_OFFERS:
        raise Invalid(f"an agent can offer {MOST_OFFERS} tools, not {len(offers)}")
    found = {(offer.tool, offer.action): offer for offer in offers}
    for offer in found.values():
        check_action(action_of(offer.model_dump()))
    tx.change(tool_offers.delete().where(tool_offers.c.agent_id == ref.agent_id))
    of_session = {"agent_id": ref.agent_id, "session_id": ref.session_id}
    tx.insert_all(tool_offers, [{**of_session, **offer.model_dump()} for offer in found.values()])


def offered_to(tx: Tx, agent_id: str) -> Sequence[Row]:
    """Return what the other connected agents of an agent's groups offer, by name."""
    return tx.rows(
        _LIVE.where(tool_offers.c.agent_id != agent_id, _shares_a_group(agent_id)).order_by(
            tool_offers.c.tool, tool_offers.c.action, tool_offers.c.agent_id
        )
    )


def offered_in(tx: Tx, tenant_id: str) -> Sequence[Row]:
    """Return what the connected agents of a tenant offer, by name."""
    return tx.rows(
        _LIVE.where(agents.c.tenant_id == tenant_id).order_by(
            tool_offers.c.tool, tool_offers.c.action, tool_offers.c.agent_id
        )
    )


def provider(tx: Tx, agent_id: str, tool: str, action: str) -> tuple[Row | None, bool]:
    """Return the offer to take for an agent, of who has the least to do; and if the tool exists."""
    at_work = (
        sa.select(sa.func.count())
        .where(
            tool_calls.c.provider_agent_id == tool_offers.c.agent_id,
            tool_calls.c.finished_at.is_(None),
        )
        .scalar_subquery()
    )
    mine = _LIVE.where(tool_offers.c.agent_id != agent_id, _shares_a_group(agent_id))
    of_tool = mine.where(tool_offers.c.tool == tool)
    wanted = of_tool.where(tool_offers.c.action == action)
    found = tx.rows(wanted.order_by(at_work, sessions.c.idle_since, agents.c.id).limit(1))
    if found:
        return found[0], True
    return None, bool(tx.rows(of_tool.limit(1)))


def action_of(offer: Mapping[str, Any]) -> Action:
    """Return what is offered."""
    return Action(
        tool=offer["tool"],
        action=offer["action"],
        description=offer["description"],
        input_schema=offer["input_schema"],
    )


def _shares_a_group(agent_id: str) -> sa.ColumnElement[bool]:
    mine, theirs = group_members.alias(), group_members.alias()
    return sa.exists(
        sa.select(sa.literal(1))
        .select_from(mine)
        .join(theirs, theirs.c.group_id == mine.c.group_id)
        .join(groups, groups.c.id == mine.c.group_id)
        .where(
            mine.c.agent_id == agent_id,
            theirs.c.agent_id == tool_offers.c.agent_id,
            groups.c.archived_at.is_(None),
        )
    )


def forget_stale(tx: Tx) -> int:
    """Drop what sessions offered that have ended, and return how many rows went."""
    live = sa.exists(
        sa.select(sa.literal(1)).where(
            sessions.c.id == tool_offers.c.session_id, sessions.c.closed_at.is_(None)
        )
    )
    return tx.change(tool_offers.delete().where(~live))
