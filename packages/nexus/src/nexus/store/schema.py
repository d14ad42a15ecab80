"""Where the tables live. Times are epoch milliseconds, ids are text, lists and objects are JSON."""

from typing import Any

import sqlalchemy as sa

from nexus.store.json_text import JsonText
from oblivion.protocol import HELD_STATUSES, TaskStatus

metadata = sa.MetaData()


def _id(name: str = "id") -> sa.Column[str]:
    return sa.Column(name, sa.String(64), primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable, server_default=default)


def _count(name: str, default: int) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=str(default))


def _counter(name: str) -> sa.Column[int]:
    whole = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column(name, whole, primary_key=True, autoincrement=True)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _trace() -> sa.Column[str]:
    """The trace that something belongs to, as W3C's Trace Context writes it."""
    return sa.Column("traceparent", sa.String(64), nullable=True)


meta = sa.Table("meta", metadata, _id("key"), _text("value"))

writers = sa.Table(
    "writers",
    metadata,
    _id(),
    sa.Column("commits", sa.BigInteger, nullable=False),
    _at("seen_at"),
)
"""The connections that write to PostgreSQL, each with the number of its newest commit."""

tenants = sa.Table(
    "tenants",
    metadata,
    _id(),
    sa.Column("slug", sa.String(64), nullable=False, unique=True),
    _text("name"),
    _at("created_at"),
    _at("stopped_at", nullable=True),
)
"""Whose agents are all stopped since ``stopped_at``, if that is set."""

agents = sa.Table(
    "agents",
    metadata,
    _id(),
    _ref("tenant_id", "tenants.id"),
    sa.Column("client_id", sa.String(128), nullable=False, unique=True),
    _text("name"),
    _text("description", default=""),
    _text("email", nullable=True),
    sa.Column("capabilities", JsonText, nullable=False),
    sa.Column("approval_status", sa.String(16), nullable=False),
    _text("rejection_reason", nullable=True),
    _at("disabled_at", nullable=True),
    sa.Column("event_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("gap_from", sa.BigInteger, nullable=True),
    sa.Column("gap_to", sa.BigInteger, nullable=True),
    _at("created_at"),
    _at("updated_at"),
    sa.Index("agents_by_tenant", "tenant_id", "created_at"),
    sa.Index(
        "agents_pending",
        "tenant_id",
        "id",
        sqlite_where=sa.text("approval_status = 'PENDING'"),
        postgresql_where=sa.text("approval_status = 'PENDING'"),
    ),
    sa.Index("agents_by_ban", "disabled_at"),
)
"""``event_seq`` is the number of the agent's newest event; ``gap_from`` and ``gap_to`` enclose the
events that were dropped before the agent had them."""

clients = sa.Table(
    "clients",
    metadata,
    _id("client_id"),
    _ref("tenant_id", "tenants.id"),
    sa.Column("role", sa.String(16), nullable=False),
    _ref("agent_id", "agents.id", nullable=True),
    _text("secret_hash"),
    _text("older_secret_hash", nullable=True),
    _at("older_secret_until", nullable=True),
    _count("token_epoch", 0),
    _at("created_at"),
    _at("disabled_at", nullable=True),
)
"""Who may ask for a token; an agent's client points to its agent.

``older_secret_hash`` is good as well until its time is over; tokens of an earlier ``token_epoch``
are void."""

revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    _id(),
    sa.Column("client_id", sa.String(128), nullable=False),
    _at("expires_at"),
    sa.Index("revoked_tokens_by_client", "client_id"),
    sa.Index("revoked_tokens_by_age", "expires_at"),
)
"""Tokens that are void before their time, by their ``jti``, until they would expire."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("node_id", sa.String(64), nullable=False),
    _at("connected_at"),
    _at("last_seen_at"),
    _at("closed_at", nullable=True),
    _flag("ready"),
    _flag("accepts_tasks"),
    _flag("acks"),
    _count("max_concurrency", 1),
    _text("instance_id", nullable=True),
    _text("version", default=""),
    _text("sdk", nullable=True),
    sa.Column("capabilities", JsonText, nullable=False),
    sa.Column("status", sa.String(16), nullable=True),
    _text("status_message", nullable=True),
    _at("idle_since"),
    sa.Column("token_id", sa.String(64), nullable=True),
    sa.Index("sessions_by_node", "node_id", "closed_at"),
    sa.Index(
        "sessions_idle",
        "node_id",
        "idle_since",
        "agent_id",
        sqlite_where=sa.text("ready = 1 AND accepts_tasks = 1 AND closed_at IS NULL"),
        postgresql_where=sa.text("ready AND accepts_tasks AND closed_at IS NULL"),
    ),
)
"""The newest session of each agent; open while ``closed_at`` is null."""

groups = sa.Table(
    "groups",
    metadata,
    _id(),
    _ref("tenant_id", "tenants.id"),
    sa.Column("slug", sa.String(64), nullable=False),
    _text("name"),
    _text("description", default=""),
    _at("archived_at", nullable=True),
    _at("created_at"),
    _at("updated_at"),
    sa.UniqueConstraint("tenant_id", "slug"),
)

group_members = sa.Table(
    "group_members",
    metadata,
    sa.Column("group_id", sa.String(64), sa.ForeignKey("groups.id"), primary_key=True),
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False, server_default="member"),
    _at("joined_at"),
    sa.Index("group_members_by_agent", "agent_id"),
)

registration_tokens = sa.Table(
    "registration_tokens",
    metadata,
    _id(),
    _ref("tenant_id", "tenants.id"),
    _ref("group_id", "groups.id"),
    _text("name", nullable=True),
    sa.Column("token_hash", sa.String(128), nullable=False, unique=True),
    _count("uses", 0),
    sa.Column("max_uses", sa.Integer, nullable=True),
    _at("expires_at", nullable=True),
    _at("revoked_at", nullable=True),
    _at("last_used_at", nullable=True),
    sa.Column("created_by", sa.String(128), nullable=False),
    _at("created_at"),
    sa.Index("registration_tokens_by_tenant", "tenant_id", "id"),
)
"""What lets an agent ask to join a group, as often as ``max_uses`` says; null is without end."""

registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    _ref("token_id", "registration_tokens.id"),
    _ref("group_id", "groups.id"),
    _at("created_at"),
    _at("decided_at", nullable=True),
    sa.Column("decided_by", sa.String(128), nullable=True),
)
"""Which agents asked to join which group, with which token, and who decided."""

projects = sa.Table(
    "projects",
    metadata,
    _id(),
    _ref("tenant_id", "tenants.id"),
    _ref("group_id", "groups.id"),
    sa.Column("slug", sa.String(64), nullable=False),
    _text("name"),
    _text("description", default=""),
    sa.Column("oblivion_tag", sa.String(64), nullable=True),
    sa.Column("dispatch_policy", sa.String(16), nullable=False),
    _at("archived_at", nullable=True),
    _at("created_at"),
    _at("updated_at"),
    sa.UniqueConstraint("group_id", "slug"),
    sa.UniqueConstraint("tenant_id", "oblivion_tag"),
)

tasks = sa.Table(
    "tasks",
    metadata,
    _id(),
    _ref("tenant_id", "tenants.id"),
    _ref("project_id", "projects.id"),
    _ref("group_id", "groups.id"),
    _text("title"),
    _text("description", default=""),
    sa.Column("status", sa.String(20), nullable=False),
    _count("priority", 3),
    sa.Column("required_capabilities", JsonText, nullable=False),
    sa.Column("source", sa.String(32), nullable=False, server_default="nexus"),
    sa.Column("source_id", sa.String(128), nullable=True),
    _text("source_url", nullable=True),
    sa.Column("metadata", JsonText, nullable=False),
    _count("attempt", 0),
    _count("attempts_used", 0),
    _count("max_attempts", 3),
    sa.Column("timeout_seconds", sa.Integer, nullable=True),
    _ref("holder_agent_id", "agents.id", nullable=True),
    _at("claimed_at", nullable=True),
    _at("lease_expires_at", nullable=True),
    _at("deadline_at", nullable=True),
    _at("not_before"),
    sa.Column("progress", sa.Float, nullable=True),
    sa.Column("result", JsonText, nullable=True),
    _text("error", nullable=True),
    _at("created_at"),
    _at("updated_at"),
    _at("finished_at", nullable=True),
    sa.Column("slack_channel_id", sa.String(32), nullable=True),
    sa.Column("slack_thread_ts", sa.String(32), nullable=True),
    sa.Column("slack_card_ts", sa.String(32), nullable=True),
    _trace(),
    sa.Column("asking_attempt", sa.Integer, nullable=True),
    sa.Index("tasks_by_tenant", "tenant_id", "id"),
    sa.Index("tasks_by_status", "tenant_id", "status", "id"),
    sa.UniqueConstraint("tenant_id", "source", "source_id"),
)
"""``attempt`` is the fence, raised by every grant; ``attempts_used`` counts against
``max_attempts`` and is spared by a task that was handed back. ``slack_thread_ts`` is the root of
the thread in Slack, ``slack_card_ts`` our message there that shows how the task stands: the root
itself, or a reply where a person's message is the root. ``asking_attempt`` is the attempt whose
holder has said that it waits for a person; that a call waits for approval the call itself says."""


def _one_of(*statuses: TaskStatus) -> sa.ColumnElement[bool]:
    """Return the condition with its constants written out, so that a partial index serves it.

    One after the other: SQLite makes a list of three a table, at each row that enters the index.
    """
    return sa.or_(*(tasks.c.status == sa.literal_column(f"'{one}'") for one in sorted(statuses)))


is_waiting = _one_of(TaskStatus.TODO)
is_held = _one_of(*HELD_STATUSES)


def _partial(name: str, *columns: sa.ColumnElement[Any], where: sa.ColumnElement[bool]) -> None:
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


_partial(
    "tasks_waiting",
    tasks.c.project_id,
    tasks.c.priority,
    tasks.c.created_at,
    tasks.c.id,
    where=is_waiting,
)
_partial(
    "tasks_ended",
    tasks.c.tenant_id,
    tasks.c.status,
    tasks.c.finished_at,
    where=tasks.c.finished_at.is_not(None),
)
_partial(
    "tasks_by_holder",
    tasks.c.holder_agent_id,
    tasks.c.id,
    where=tasks.c.holder_agent_id.is_not(None),
)
_partial(
    "tasks_held",
    tasks.c.holder_agent_id,
    tasks.c.lease_expires_at,
    tasks.c.deadline_at,
    tasks.c.status,  # so that the index alone answers how many tasks an agent holds
    where=is_held,
)

messages = sa.Table(
    "messages",
    metadata,
    _id(),
    _ref("task_id", "tasks.id"),
    sa.Column("ts", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("author_id", sa.String(128), nullable=False),
    _text("author"),
    _flag("is_human"),
    _text("text"),
    sa.Column("choices", JsonText, nullable=True),
    _at("created_at"),
    _at("edited_at", nullable=True),
    _at("deleted_at", nullable=True),
    sa.UniqueConstraint("task_id", "ts"),
)
"""Threads; ``ts`` in epoch microseconds is a message's place and, with its thread, its name.

``choices`` are the answers that a question offers. A deleted message keeps its place, empty."""

agent_events = sa.Table(
    "agent_events",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("task_id", sa.String(64), nullable=True),
    sa.Column("payload", JsonText, nullable=False),
    _at("created_at"),
    _at("sent_at", nullable=True),
    _at("acked_at", nullable=True),
    _trace(),
    sa.Index("agent_events_acked", "acked_at"),
    sa.Index(
        "agent_events_pending",
        "agent_id",
        "seq",
        sqlite_where=sa.text("acked_at IS NULL"),
        postgresql_where=sa.text("acked_at IS NULL"),
    ),
)
"""What each agent is told, in order, until it has acknowledged it. ``sent_at``, when it was last on
its way, is stored with the acknowledgement, so that to send costs no write."""

activity = sa.Table(
    "activity",
    metadata,
    _counter("id"),
    _ref("tenant_id", "tenants.id"),
    _at("at"),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("agent_id", sa.String(64), nullable=True),
    sa.Column("project_id", sa.String(64), nullable=True),
    sa.Column("task_id", sa.String(64), nullable=True),
    sa.Column("data", JsonText, nullable=False),
    sa.Column("txid", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("activity_by_tenant", "tenant_id", "txid", "id"),
    sa.Index("activity_by_age", "at"),
    sa.Index(
        "activity_by_task",
        "task_id",
        "id",
        sqlite_where=sa.text("task_id IS NOT NULL"),
        postgresql_where=sa.text("task_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""What happened, for people: the feed of the Observer and of ``nexus tail``.

It goes by ``txid`` first: the number of the transaction that wrote the entry, which PostgreSQL sets
by itself; 0 on SQLite, where one writes at a time."""

call_answers = sa.Table(
    "call_answers",
    metadata,
    sa.Column("agent_id", sa.String(64), primary_key=True),
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column("answer", JsonText, nullable=False),
    _at("created_at"),
    sa.Index("call_answers_by_age", "created_at"),
)
"""The answer of each call by its envelope id, so that a call sent again has no second effect."""

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("client_id", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=True),
    sa.Column("answer", JsonText, nullable=True),
    _at("created_at"),
    sa.Index("idempotency_keys_by_age", "created_at"),
)
"""The answer of each keyed POST; ``status`` is null while the first one still runs."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _at("at"),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("address", sa.String(64), nullable=True),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("target", sa.String(256), nullable=True),
    _text("details"),
    sa.Column("seal", sa.String(64), nullable=False),
)
"""Who did what, for each tenant in a chain; ``details`` are JSON as text, for they are sealed."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    _counter("id"),
    _ref("tenant_id", "tenants.id"),
    sa.Column("box", sa.String(32), nullable=False),
    sa.Column("key", sa.String(255), nullable=False),
    sa.Column("lane", sa.String(128), nullable=False),
    _flag("urgent"),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("payload", JsonText, nullable=False),
    sa.Column("task_id", sa.String(64), nullable=True),
    sa.Column("status", sa.String(16), nullable=False),
    _count("tries", 0),
    _flag("unsure"),
    _text("error", nullable=True),
    _at("due_at"),
    _at("claimed_until", nullable=True),
    _at("created_at"),
    _at("ended_at", nullable=True),
    sa.Column("planned", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.UniqueConstraint("box", "key"),
    sa.Index("deliveries_by_tenant", "tenant_id", "status", "id"),
    sa.Index("deliveries_by_age", "ended_at"),
    sqlite_autoincrement=True,
)
"""What came in from other services, and what is to go out to them, in order within each lane.

``key`` names it within its box, so that it is taken in once. ``claimed_until`` is set while it is
being seen to; ``unsure`` says that it may have had its effect already; ``planned`` that its lane
knows of it."""

_is_pending = deliveries.c.status == sa.literal_column("'pending'")
_partial(
    "deliveries_pending",
    *(deliveries.c.box, deliveries.c.lane, deliveries.c.urgent.desc(), deliveries.c.id),
    where=_is_pending,
)
_partial("deliveries_of_tasks", deliveries.c.task_id, where=_is_pending)
_is_unplanned: sa.ColumnElement[bool] = sa.literal_column("NOT planned")
_partial("deliveries_unplanned", deliveries.c.box, deliveries.c.id, where=_is_unplanned)

delivery_lanes = sa.Table(
    "delivery_lanes",
    metadata,
    sa.Column("box", sa.String(32), primary_key=True),
    sa.Column("lane", sa.String(128), primary_key=True),
    _at("open_at"),
    _at("due_at", nullable=True),
    sa.Index("delivery_lanes_due", "box", "due_at", "lane"),
)
"""The lanes that there are. Nothing of one is seen to before ``open_at``: so it keeps its pace, and
goes one at a time. ``due_at`` is when the first that pends in it can be seen to, if any pends."""

slack_channels = sa.Table(
    "slack_channels",
    metadata,
    _id("owner_id"),
    _ref("tenant_id", "tenants.id"),
    sa.Column("owner_kind", sa.String(16), nullable=False),
    sa.Column("channel_id", sa.String(32), nullable=False, unique=True),
    _text("name"),
    _flag("adopted"),
    _at("archived_at", nullable=True),
    _at("created_at"),
)
"""The channel of each group and project, whose ids are the owners'; an adopted one was there."""

slack_threads = sa.Table(
    "slack_threads",
    metadata,
    sa.Column("channel_id", sa.String(32), primary_key=True),
    sa.Column("thread_ts", sa.String(32), primary_key=True),
    _ref("task_id", "tasks.id"),
    _at("created_at"),
    sa.Index("slack_threads_by_task", "task_id"),
)
"""Which task a thread in Slack is about; of several, ``tasks`` name the one in use."""

slack_messages = sa.Table(
    "slack_messages",
    metadata,
    sa.Column("channel_id", sa.String(32), primary_key=True),
    sa.Column("ts", sa.String(32), primary_key=True),
    _ref("message_id", "messages.id"),
    _flag("ours"),
    sa.Index("slack_messages_by_message", "message_id"),
)
"""Which message of a thread stands where in Slack; a long one of ours in several places."""

slack_users = sa.Table(
    "slack_users",
    metadata,
    _id(),
    _text("name"),
    _text("email", nullable=True),
    _flag("is_human"),
    _flag("may_act"),
    _at("seen_at"),
)
"""What Slack said of its users lately; ``may_act`` holds for full members of the workspace."""

slack_pauses = sa.Table(
    "slack_pauses",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    _text("reason"),
    _count("missed", 0),
    _at("paused_at"),
)
"""The agents whose messages are not mirrored for now, because they went round in circles."""

slack_said = sa.Table(
    "slack_said",
    metadata,
    _counter("id"),
    sa.Column("agent_id", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    _at("at"),
    _flag("shown"),
    sa.Index("slack_said_by_age", "at"),
)
"""What agents said within the hour, by which it is told when they say too much."""

slack_approvals = sa.Table(
    "slack_approvals",
    metadata,
    _id("call_id"),
    sa.Column("channel_id", sa.String(32), nullable=False),
    sa.Column("ts", sa.String(32), nullable=False),
    _at("created_at"),
    sa.Index("slack_approvals_by_age", "created_at"),
)
"""Where in Slack people are asked about a tool call."""
