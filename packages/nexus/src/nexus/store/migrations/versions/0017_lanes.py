"""Deliveries that their lanes need not know of at once: to post locks no lane."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_UNPLANNED = sa.text("NOT planned")


def upgrade() -> None:
    """Have a delivery say whether its lane knows of it; those of a release before do."""
    op.add_column(
        "deliveries", sa.Column("planned", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.create_index(
        "deliveries_unplanned",
        "deliveries",
        ["box", "id"],
        sqlite_where=_UNPLANNED,
        postgresql_where=_UNPLANNED,
    )
