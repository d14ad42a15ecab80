"""The feed in the order of transactions: where several write at once, ids tell less."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TXID = sa.text("(pg_current_xact_id()::text::bigint)")


def upgrade() -> None:
    """Have each entry know its transaction; those that are there have ended, in order of ids."""
    op.add_column(
        "activity", sa.Column("txid", sa.BigInteger(), nullable=False, server_default="0")
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("activity", "txid", server_default=_TXID)
    op.drop_index("activity_by_tenant", "activity")
    op.create_index("activity_by_tenant", "activity", ["tenant_id", "txid", "id"])
