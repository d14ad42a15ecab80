"""Where it is read what Nexus has on disk: the witness that nobody told what to say."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from kill_checker import FINAL, Stored, StoredEvent, StoredTask
from nexus.store import open_database
from nexus.store.schema import agent_events, agents, messages, tasks


def read_stored(where: str | Path) -> Stored:
    """Read all that a history is held against."""
    with _reading(where) as connection:
        who = connection.execute(sa.select(agents)).all()
        names = {row.id: row.client_id for row in who}
        return Stored(
            tasks=[
                StoredTask(
                    id=row.id,
                    title=row.title,
                    status=row.status,
                    attempt=row.attempt,
                    holder=names.get(row.holder_agent_id),
                    result=row.result,
                )
                for row in connection.execute(sa.select(tasks))
            ],
            messages=[(row.task_id, row.text) for row in connection.execute(sa.select(messages))],
            events=[
                StoredEvent(agent=names[row.agent_id], seq=row.seq, id=row.id)
                for row in connection.execute(sa.select(agent_events))
            ],
            heads={row.client_id: row.event_seq for row in who},
        )


def is_settled(where: str | Path) -> bool:
    """Return whether every task has ended and every event has been acknowledged."""
    is_open = sa.exists().where(tasks.c.status.not_in(FINAL))
    is_untold = sa.exists().where(agent_events.c.acked_at.is_(None))
    with _reading(where) as connection:
        return not connection.execute(sa.select(is_open | is_untold)).scalar_one()


@contextlib.contextmanager
def _reading(where: str | Path) -> Iterator[sa.Connection]:
    database = open_database(where)
    try:
        with database.reader.connect() as connection:
            yield connection
    finally:
        database.close()
