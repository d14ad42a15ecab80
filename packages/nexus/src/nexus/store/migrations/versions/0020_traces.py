"""The trace that a task belongs to, and each event about it."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have room for it; what there was before belongs to none."""
    op.add_column("tasks", sa.Column("traceparent", sa.String(64), nullable=True))
    op.add_column("agent_events", sa.Column("traceparent", sa.String(64), nullable=True))
