"""Where in Slack people are asked whether a tool may be used."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Remember those messages, so that they can show who decided."""
    op.create_table(
        "slack_approvals",
        sa.Column("call_id", sa.String(64), primary_key=True),
        sa.Column("channel_id", sa.String(32), nullable=False),
        sa.Column("ts", sa.String(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("slack_approvals_by_age", "slack_approvals", ["created_at"])
