"""What several nodes on one database need, and which events agents have missed for good."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the writers' counts and the agents' gaps."""
    op.create_table(
        "writers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    for name in ("gap_from", "gap_to"):
        op.add_column("agents", sa.Column(name, sa.BigInteger(), nullable=True))
