"""The trace that a call of a tool belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have each call know whose trace it is part of."""
    op.add_column("tool_calls", sa.Column("traceparent", sa.String(64), nullable=True))
