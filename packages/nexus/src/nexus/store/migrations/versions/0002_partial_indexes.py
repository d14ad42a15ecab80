"""Indexes over the waiting and the held tasks alone: they stay small however many have ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WAITING = sa.text("status IN ('TODO')")
_HELD = sa.text("status IN ('BLOCKED_ON_HUMAN', 'CLAIMED', 'IN_PROGRESS')")
_LATE = sa.text(f"{_HELD} AND deadline_at IS NOT NULL")


def upgrade() -> None:
    """Put the partial indexes in the place of those over every task."""
    for name in ("tasks_waiting", "tasks_by_holder", "tasks_by_lease"):
        op.drop_index(name, "tasks")
    op.create_index("tasks_by_holder", "tasks", ["holder_agent_id", "id"])
    _partial("tasks_waiting", "project_id", "priority", "created_at", "id", where=_WAITING)
    _partial("tasks_held", "holder_agent_id", where=_HELD)
    _partial("tasks_by_lease", "lease_expires_at", where=_HELD)
    _partial("tasks_by_deadline", "deadline_at", where=_LATE)


def _partial(name: str, *columns: str, where: sa.TextClause) -> None:
    op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)
