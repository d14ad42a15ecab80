"""What makes tokens and secrets void: epochs, revocations, rotated secrets, a tenant's stop."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the table of revoked tokens."""
    op.add_column("tenants", sa.Column("stopped_at", sa.BigInteger(), nullable=True))
    op.add_column("clients", sa.Column("older_secret_hash", sa.Text(), nullable=True))
    op.add_column("clients", sa.Column("older_secret_until", sa.BigInteger(), nullable=True))
    epoch = sa.Column("token_epoch", sa.Integer(), nullable=False, server_default="0")
    op.add_column("clients", epoch)
    op.add_column("sessions", sa.Column("token_id", sa.String(64), nullable=True))
    op.create_index("agents_by_ban", "agents", ["disabled_at"])
    op.create_table(
        "revoked_tokens",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("revoked_tokens_by_client", "revoked_tokens", ["client_id"])
    op.create_index("revoked_tokens_by_age", "revoked_tokens", ["expires_at"])
