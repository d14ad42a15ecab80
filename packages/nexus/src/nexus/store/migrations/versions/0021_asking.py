"""Whether the holder of a task waits for a person, beside what its tool calls wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have room for it; tasks that are blocked now go on when any of it is decided, as before."""
    op.add_column("tasks", sa.Column("asking_attempt", sa.Integer(), nullable=True))
