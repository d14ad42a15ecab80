"""What agents have tools do: the calls, the tools that agents offer, and the rules."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = sa.text("finished_at IS NULL")


def upgrade() -> None:
    """Add the tables of the tool gateway."""
    _calls()
    _offers()
    _rules()


def _calls() -> None:
    op.create_table(
        "tool_calls",
        sa.Column("id", sa.String(64), primary_key=True),
        _ref("tenant_id", "tenants.id"),
        _ref("agent_id", "agents.id"),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("task_id", sa.String(64), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=True),
        sa.Column("tool", sa.String(128), nullable=False),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("params_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("timeout_ms", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
            for name in ("waits", "by_event", "idempotent")
        ),
        sa.Column("node_id", sa.String(64), nullable=True),
        _ref("provider_agent_id", "agents.id", nullable=True),
        sa.Column("rule_id", sa.String(64), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("max_result_bytes", sa.BigInteger(), nullable=True),
        sa.Column("approved_hash", sa.String(64), nullable=True),
        sa.Column("decided_by", sa.String(128), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("code", sa.String(32), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("agent_id", "request_id"),
    )
    op.create_index("tool_calls_by_tenant", "tool_calls", ["tenant_id", "id"])
    op.create_index("tool_calls_by_use", "tool_calls", ["agent_id", "rule_id", "started_at"])
    op.create_index("tool_calls_by_age", "tool_calls", ["finished_at"])
    op.create_index(
        "tool_calls_open",
        "tool_calls",
        ["state", "due_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _offers() -> None:
    op.create_table(
        "tool_offers",
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
        sa.Column("tool", sa.String(128), primary_key=True),
        sa.Column("action", sa.String(128), primary_key=True),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("input_schema", sa.Text(), nullable=False),
    )
    op.create_index("tool_offers_by_name", "tool_offers", ["tool", "action"])


def _rules() -> None:
    op.create_table(
        "tool_rules",
        sa.Column("id", sa.String(64), primary_key=True),
        _ref("tenant_id", "tenants.id"),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant_id", "place"),
    )


def _ref(name: str, target: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), nullable=nullable)
