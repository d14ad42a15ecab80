"""An index for what happened to one task: the Observer draws its life from it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OF_A_TASK = sa.text("task_id IS NOT NULL")


def upgrade() -> None:
    """Let the entries of one task be found without a look at all of its time."""
    op.create_index(
        "activity_by_task",
        "activity",
        ["task_id", "id"],
        sqlite_where=_OF_A_TASK,
        postgresql_where=_OF_A_TASK,
    )
