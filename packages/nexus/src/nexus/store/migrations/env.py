"""Where Alembic is told how to run: on the connection it was given, batching for SQLite."""

from alembic import context

from nexus.store import tool_tables  # noqa: F401 - adds its tables to the metadata
from nexus.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
