"""Where people see to Slack: how it is connected, which channels there are, who is paused."""

from dataclasses import dataclass
from typing import Annotated, Protocol

import sqlalchemy as sa
from pydantic import Field

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal
from nexus.services import activity, agents, groups, projects, slack, views
from nexus.services.command import Command, Line, Ref
from nexus.store.schema import agents as all_agents
from nexus.store.schema import slack_channels, slack_pauses
from nexus.store.tx import Row, Tx
from oblivion.protocol import Timestamp, WireModel

MOST_AT_ONCE = 100


class SlackChannel(WireModel):
    """The channel of a group or project; an adopted one was there before, and is left alone."""

    owner_id: str
    owner_kind: str
    channel_id: str
    name: str
    adopted: bool = False
    archived_at: Timestamp | None = None


class PausedAgent(WireModel):
    """An agent whose messages Slack does not show, since it went round in circles."""

    agent_id: str
    name: str
    reason: str
    missed: int
    paused_at: Timestamp


class SlackStatus(WireModel):
    """How Slack is connected here; ``trouble`` says why nothing is sent or taken in."""

    connected: bool = False
    team: str | None = None
    bot_user_id: str | None = None
    socket_mode: bool = False
    trouble: str | None = None
    channels: list[SlackChannel] = Field(default_factory=list)
    paused: list[PausedAgent] = Field(default_factory=list)


class Invitation(WireModel):
    """What became of one invitation; ``error`` says why it was none."""

    email: str
    invited: bool = False
    error: str | None = None


class Invitations(WireModel):
    """What became of each invitation, in the order of the request."""

    items: list[Invitation] = Field(default_factory=list)


class LinkChannel(Command):
    """A group or project gets a channel that is there, by name or id."""

    owner_id: Ref
    channel: Line


class Invite(Command):
    """People are to come into the channel of a group or project."""

    owner_id: Ref
    emails: Annotated[list[Line], Field(min_length=1, max_length=MOST_AT_ONCE)]


@dataclass(frozen=True, kw_only=True)
class SlackState:
    """How the connection of a node stands; ``trouble`` says why nothing is sent."""

    team: str | None = None
    bot_user_id: str | None = None
    socket_mode: bool = False
    trouble: str | None = None

    @property
    def word(self) -> str:
        """How it stands in one word that tells strangers nothing else."""
        if self.trouble is not None:
            return "trouble"
        return "connecting" if self.team is None else "connected"


class Workspace(Protocol):
    """The workspace that this node is connected with, for what must be asked there at once."""

    @property
    def tenant_id(self) -> str:
        """Whose workspace it is."""
        ...

    @property
    def state(self) -> SlackState:
        """How the connection stands at this moment."""
        ...

    async def enter(self, channel: str) -> tuple[str, str]:
        """Join an open channel, by name or id; return its id and name.

        Raises:
            NotFound: there is none that the app can see.
            Conflict: it is archived.
            Unavailable: Slack does not answer.
        """
        ...

    async def invite(self, channel_id: str, emails: list[str]) -> Invitations:
        """Have people of these addresses in a channel.

        Raises:
            Unavailable: Slack does not answer.
        """
        ...


def status(tx: Tx, tenant_id: str, state: SlackState | None) -> SlackStatus:
    """Return how Slack is connected, with what the store knows of it."""
    if state is None:
        return SlackStatus()
    return SlackStatus(
        connected=state.trouble is None and state.team is not None,
        **vars(state),
        channels=[_shown(row) for row in _channels(tx, tenant_id)],
        paused=[_shown_pause(row) for row in _pauses(tx, tenant_id)],
    )


def _channels(tx: Tx, tenant_id: str) -> list[Row]:
    mine = slack_channels.select().where(slack_channels.c.tenant_id == tenant_id)
    return list(tx.rows(mine.order_by(slack_channels.c.name)))


def _shown(row: Row) -> SlackChannel:
    return SlackChannel(
        owner_id=row["owner_id"],
        owner_kind=row["owner_kind"],
        channel_id=row["channel_id"],
        name=row["name"],
        adopted=row["adopted"],
        archived_at=views.moment_or_none(row["archived_at"]),
    )


def _pauses(tx: Tx, tenant_id: str) -> list[Row]:
    query = sa.select(slack_pauses, all_agents.c.name).join_from(slack_pauses, all_agents)
    return list(tx.rows(query.where(all_agents.c.tenant_id == tenant_id)))


def _shown_pause(row: Row) -> PausedAgent:
    return PausedAgent(
        agent_id=row["agent_id"],
        name=row["name"],
        reason=row["reason"],
        missed=row["missed"],
        paused_at=views.moment(row["paused_at"]),
    )


def resume(tx: Tx, caller: Principal, agent_id: str) -> PausedAgent:
    """Have an agent's messages shown again.

    Raises:
        NotFound: there is no such agent.
        Conflict: it is not paused.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    pause = tx.one(slack_pauses.select().where(slack_pauses.c.agent_id == agent["id"]))
    if pause is None:
        raise Conflict(f"the agent {agent['client_id']} is not paused")
    tx.change(slack_pauses.delete().where(slack_pauses.c.agent_id == pause["agent_id"]))
    activity.record(
        tx,
        caller.tenant_id,
        "mirror_resumed",
        agent_id=pause["agent_id"],
        name=agent["name"],
        missed=pause["missed"],
        by=caller.client_id,
    )
    return _shown_pause({**pause, "name": agent["name"]})


def link(tx: Tx, owner: Row, channel_id: str, name: str) -> SlackChannel:
    """Give a group or project a channel that people made; it is never archived by us.

    Raises:
        Conflict: the channel is another one's.
    """
    other = slack.kept(tx, channel_id)
    if other is not None and other["owner_id"] != owner["id"]:
        if other["archived_at"] is None:
            raise Conflict(f"#{name} belongs to another {other['owner_kind']}")
        slack.forget_channel(tx, channel_id)
    slack.keep_channel(tx, owner, channel_id, name, adopted=True)
    return next(
        _shown(row) for row in _channels(tx, owner["tenant_id"]) if row["owner_id"] == owner["id"]
    )


def owned(tx: Tx, tenant_id: str, named: str) -> Row:
    """Return one of the tenant's projects or groups, by id or slug: its ``kind`` and slugs.

    Raises:
        NotFound: there is neither.
        Conflict: several groups have a project of this slug.
    """
    try:
        found = projects.row(tx, tenant_id, named)
    except NotFound:
        found = groups.row(tx, tenant_id, named)
    return slack.owners(tx, [found["id"]])[0]


def channel_id(tx: Tx, tenant_id: str, named: str) -> str:
    """Return the id of the open channel of a project or group.

    Raises:
        NotFound: there is no such project or group, or it has no channel.
    """
    channel = slack.channel_of(tx, owned(tx, tenant_id, named)["id"])
    if channel is None or channel["archived_at"] is not None:
        raise NotFound(f"{named} has no channel in Slack")
    return str(channel["channel_id"])
