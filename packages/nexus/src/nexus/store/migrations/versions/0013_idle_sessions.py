"""The agents that can work, those first that have been idle longest."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index them, so that a task finds its agent without a look at all others."""
    op.create_index(
        "sessions_idle",
        "sessions",
        ["node_id", "idle_since", "agent_id"],
        sqlite_where=sa.text("ready = 1 AND accepts_tasks = 1 AND closed_at IS NULL"),
        postgresql_where=sa.text("ready AND accepts_tasks AND closed_at IS NULL"),
    )
