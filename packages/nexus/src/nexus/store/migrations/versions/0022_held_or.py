"""Which tasks are held, in words that SQLite judges without a table of its own each time."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_HELD = sa.text("status = 'BLOCKED_ON_HUMAN' OR status = 'CLAIMED' OR status = 'IN_PROGRESS'")


def upgrade() -> None:
    """Write the index's condition out: a list of three was made a table at each row stored."""
    op.drop_index("tasks_held", table_name="tasks")
    op.create_index(
        "tasks_held",
        "tasks",
        ["holder_agent_id", "lease_expires_at", "deadline_at", "status"],
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    )
