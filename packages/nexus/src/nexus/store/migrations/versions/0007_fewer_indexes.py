"""One index for all that is asked of held tasks; the holders' without those never held."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_HELD = sa.text("status IN ('BLOCKED_ON_HUMAN', 'CLAIMED', 'IN_PROGRESS')")
_WAS_HELD = sa.text("holder_agent_id IS NOT NULL")


def upgrade() -> None:
    """Let what finds an agent's held tasks find the leases and times that run out, too."""
    for name in ("tasks_by_lease", "tasks_by_deadline", "tasks_held", "tasks_by_holder"):
        op.drop_index(name, "tasks")
    _partial("tasks_held", "holder_agent_id", "lease_expires_at", "deadline_at", where=_HELD)
    _partial("tasks_by_holder", "holder_agent_id", "id", where=_WAS_HELD)


def _partial(name: str, *columns: str, where: sa.TextClause) -> None:
    op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)
