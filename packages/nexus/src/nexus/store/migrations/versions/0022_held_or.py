"""Which tasks are held and which wait, in words that SQLite judges without making a table."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_HELD = "status = 'BLOCKED_ON_HUMAN' OR status = 'CLAIMED' OR status = 'IN_PROGRESS'"
_WAITING = "status = 'TODO'"


def upgrade() -> None:
    """Write the indexes' conditions out: a list of three was made a table at each row stored."""
    _again(
        "tasks_held", "holder_agent_id", "lease_expires_at", "deadline_at", "status", where=_HELD
    )
    _again("tasks_waiting", "project_id", "priority", "created_at", "id", where=_WAITING)


def _again(name: str, *columns: str, where: str) -> None:
    condition = sa.text(where)
    op.drop_index(name, table_name="tasks")
    op.create_index(name, "tasks", columns, sqlite_where=condition, postgresql_where=condition)
