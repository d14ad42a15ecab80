"""What goes out to other services and comes in from them, and where Slack shows our threads."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    """Add the deliveries, the places in Slack, and what became of messages."""
    _more_of_what_is_there()
    _deliveries()
    _places()
    _people()


def _more_of_what_is_there() -> None:
    for name in ("slack_channel_id", "slack_thread_ts", "slack_card_ts"):
        op.add_column("tasks", sa.Column(name, sa.String(32), nullable=True))
    op.add_column("messages", sa.Column("choices", sa.Text(), nullable=True))
    for name in ("edited_at", "deleted_at"):
        op.add_column("messages", sa.Column(name, sa.BigInteger(), nullable=True))


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        _counter("id"),
        _ref("tenant_id", "tenants.id"),
        sa.Column("box", sa.String(32), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("lane", sa.String(128), nullable=False),
        _flag("urgent"),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("task_id", sa.String(64), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        _count("tries"),
        _flag("unsure"),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("box", "key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "deliveries_pending",
        "deliveries",
        ["box", "lane", sa.text("urgent DESC"), "id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index(
        "deliveries_of_tasks",
        "deliveries",
        ["task_id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index("deliveries_by_tenant", "deliveries", ["tenant_id", "status", "id"])
    op.create_index("deliveries_by_age", "deliveries", ["ended_at"])
    op.create_table(
        "delivery_lanes",
        sa.Column("box", sa.String(32), primary_key=True),
        sa.Column("lane", sa.String(128), primary_key=True),
        sa.Column("open_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
    )
    op.create_index("delivery_lanes_due", "delivery_lanes", ["box", "due_at", "lane"])


def _places() -> None:
    op.create_table(
        "slack_channels",
        sa.Column("owner_id", sa.String(64), primary_key=True),
        _ref("tenant_id", "tenants.id"),
        sa.Column("owner_kind", sa.String(16), nullable=False),
        sa.Column("channel_id", sa.String(32), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        _flag("adopted"),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "slack_threads",
        sa.Column("channel_id", sa.String(32), primary_key=True),
        sa.Column("thread_ts", sa.String(32), primary_key=True),
        _ref("task_id", "tasks.id"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("slack_threads_by_task", "slack_threads", ["task_id"])
    op.create_table(
        "slack_messages",
        sa.Column("channel_id", sa.String(32), primary_key=True),
        sa.Column("ts", sa.String(32), primary_key=True),
        _ref("message_id", "messages.id"),
        _flag("ours"),
    )
    op.create_index("slack_messages_by_message", "slack_messages", ["message_id"])


def _people() -> None:
    op.create_table(
        "slack_users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        _flag("is_human"),
        _flag("may_act"),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "slack_pauses",
        sa.Column("agent_id", sa.String(64), sa.ForeignKey("agents.id"), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        _count("missed"),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "slack_said",
        _counter("id"),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _flag("shown"),
    )
    op.create_index("slack_said_by_age", "slack_said", ["at"])


def _counter(name: str) -> sa.Column[int]:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, whole, primary_key=True, autoincrement=True)


def _ref(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")
