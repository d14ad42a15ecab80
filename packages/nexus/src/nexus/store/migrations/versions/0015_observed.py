"""Indexes for what people look at: tasks of a status, what was done today, the calls of a task."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ENDED = sa.text("finished_at IS NOT NULL")
_OF_A_TASK = sa.text("task_id IS NOT NULL")


def upgrade() -> None:
    """Let the newest of a status be read in their order, however many there are."""
    op.drop_index("tasks_by_tenant_and_status", "tasks")
    op.create_index("tasks_by_status", "tasks", ["tenant_id", "status", "id"])
    _partial("tasks_ended", "tasks", "tenant_id", "status", "finished_at", where=_ENDED)
    _partial("tool_calls_by_task", "tool_calls", "task_id", "id", where=_OF_A_TASK)


def _partial(name: str, table: str, *columns: str, where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
