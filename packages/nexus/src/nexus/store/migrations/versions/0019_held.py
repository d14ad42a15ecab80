"""How many tasks an agent holds, told by an index alone."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_HELD = sa.text("status IN ('BLOCKED_ON_HUMAN', 'CLAIMED', 'IN_PROGRESS')")


def upgrade() -> None:
    """Add the status to the index: its condition names it, and was looked up in every row."""
    op.drop_index("tasks_held", table_name="tasks")
    op.create_index(
        "tasks_held",
        "tasks",
        ["holder_agent_id", "lease_expires_at", "deadline_at", "status"],
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    )
