"""When an agent was sent what it acknowledged."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have room for it; of what was sent before it is not known."""
    op.add_column("agent_events", sa.Column("sent_at", sa.BigInteger(), nullable=True))
