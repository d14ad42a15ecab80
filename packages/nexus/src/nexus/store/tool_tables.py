"""Where the tables of the tool gateway live, beside those of ``schema``."""

import sqlalchemy as sa

from nexus.store.json_text import JsonText
from nexus.store.schema import metadata


def _at(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _word(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _ref(name: str, target: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


_OPEN = sa.text("finished_at IS NULL")
_OF_A_TASK = sa.text("task_id IS NOT NULL")

tool_calls = sa.Table(
    "tool_calls",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    _ref("tenant_id", "tenants.id"),
    _ref("agent_id", "agents.id"),
    _word("request_id", 128),
    _word("task_id", 64, nullable=True),
    sa.Column("attempt", sa.BigInteger, nullable=True),
    _word("tool", 128),
    _word("action", 128),
    sa.Column("params", JsonText, nullable=False),
    _word("params_hash", 64),
    _word("state", 20),
    _at("due_at", nullable=False),
    sa.Column("timeout_ms", sa.BigInteger, nullable=False),
    _flag("waits"),
    _flag("by_event"),
    _word("node_id", 64, nullable=True),
    _ref("provider_agent_id", "agents.id", nullable=True),
    _flag("idempotent"),
    _word("rule_id", 64, nullable=True),
    sa.Column("rule", sa.Text, nullable=True),
    sa.Column("max_result_bytes", sa.BigInteger, nullable=True),
    _word("approved_hash", 64, nullable=True),
    _word("decided_by", 128, nullable=True),
    _at("decided_at"),
    sa.Column("reason", sa.Text, nullable=True),
    _at("started_at"),
    _at("finished_at"),
    sa.Column("result", JsonText, nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    _word("code", 32, nullable=True),
    _word("traceparent", 64, nullable=True),
    _at("created_at", nullable=False),
    sa.UniqueConstraint("agent_id", "request_id"),
    sa.Index("tool_calls_by_tenant", "tenant_id", "id"),
    sa.Index("tool_calls_by_use", "agent_id", "rule_id", "started_at"),
    sa.Index(
        "tool_calls_by_task",
        "task_id",
        "id",
        sqlite_where=_OF_A_TASK,
        postgresql_where=_OF_A_TASK,
    ),
    sa.Index("tool_calls_by_age", "finished_at"),
    sa.Index("tool_calls_open", "state", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)
"""The calls that agents asked for, each with its life.

``due_at`` is when the state it is in is over: for a person to decide, for the tool to answer.
``approved_hash`` is that of the parameters which a person has approved, null where it was denied.
``provider_agent_id`` is the agent that carries it out, null where a node does.
"""

tool_offers = sa.Table(
    "tool_offers",
    metadata,
    sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("tool", sa.String(128), primary_key=True),
    sa.Column("action", sa.String(128), primary_key=True),
    _word("session_id", 64),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("input_schema", JsonText, nullable=False),
    sa.Index("tool_offers_by_name", "tool", "action"),
)
"""What agents run for others; good as long as the session lives that announced it."""

tool_rules = sa.Table(
    "tool_rules",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    _ref("tenant_id", "tenants.id"),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("rule", JsonText, nullable=False),
    _word("created_by", 128),
    _at("created_at", nullable=False),
    sa.UniqueConstraint("tenant_id", "place"),
)
"""Who may have which tools do what; the rules of a tenant hold in the order of their places."""

tool_secrets = sa.Table(
    "tool_secrets",
    metadata,
    sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    _word("key_id", 64),
    sa.Column("sealed", sa.Text, nullable=False),
    _word("set_by", 128),
    _at("set_at", nullable=False),
)
"""What tools need to know and agents must not; sealed with a key that lies elsewhere."""
