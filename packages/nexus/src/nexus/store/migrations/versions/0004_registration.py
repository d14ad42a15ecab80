"""Agents that ask to join: the tokens that let them, and what became of their wish."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PENDING = sa.text("approval_status = 'PENDING'")


def upgrade() -> None:
    """Add the registration tokens and the registrations."""
    op.create_table(
        "registration_tokens",
        sa.Column("id", sa.String(64), primary_key=True),
        _ref("tenant_id", "tenants.id"),
        _ref("group_id", "groups.id"),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.String(128), nullable=False, unique=True),
        sa.Column("uses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("registration_tokens_by_tenant", "registration_tokens", ["tenant_id", "id"])
    op.create_table(
        "registrations",
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
        _ref("token_id", "registration_tokens.id"),
        _ref("group_id", "groups.id"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(128), nullable=True),
    )
    op.create_index(
        "agents_pending",
        "agents",
        ["tenant_id", "id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def _ref(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), nullable=False)
