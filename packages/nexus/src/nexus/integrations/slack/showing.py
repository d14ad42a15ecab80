"""Where what is stored becomes what Slack shows: a task's card, a message's parts and face."""

import sqlalchemy as sa

from nexus.integrations.slack.posting import Face
from nexus.integrations.slack.rendering import (
    Part,
    TaskCard,
    choices,
    icon_for,
    message_parts,
)
from nexus.integrations.slack.rendering import card as draw
from nexus.services import progress, views
from nexus.store.schema import agents, messages, tasks
from nexus.store.tx import Row, Tx
from oblivion.protocol import TaskStatus

PERSON = ":bust_in_silhouette:"
_LONGEST_NAME = 80


def task(tx: Tx, task_id: str) -> Row | None:
    """Return a task with its holder's name, and what that says of how far it is.

    None where there is none of this id.
    """
    found = tx.one(views.select_tasks().where(tasks.c.id == task_id))
    if found is None:
        return None
    holder = None
    if found["holder_agent_id"] is not None:
        named = sa.select(agents.c.name).where(agents.c.id == found["holder_agent_id"])
        holder = tx.scalar(named)
    report = progress.shown(tx, found)
    return {**found, "holder": holder, "report": None if report is None else report["text"]}


def card(task: Row, public_url: str | None) -> Part:
    """Return the message that shows how a task stands."""
    return draw(
        TaskCard(
            id=task["id"],
            title=task["title"],
            status=TaskStatus(task["status"]),
            project=task["project_name"],
            priority=task["priority"],
            holder=task["holder"],
            description=task["description"],
            progress=task["progress"],
            report=task["report"],
            error=task["error"],
            url=url_of(task, public_url),
        )
    )


def url_of(task: Row, public_url: str | None) -> str | None:
    """Return where a task is to be seen: at its source, else in the Observer; None for nowhere."""
    if task["source_url"] is not None and task["source"] != "slack":
        return str(task["source_url"])
    return None if public_url is None else f"{public_url.rstrip('/')}/?task={task['id']}"


def message(tx: Tx, message_id: str) -> Row | None:
    """Return a message of a thread with what its author can do, if that is an agent."""
    can = agents.c.capabilities.label("author_capabilities")
    query = sa.select(messages, can).outerjoin_from(
        messages, agents, agents.c.id == messages.c.author_id
    )
    return tx.one(query.where(messages.c.id == message_id))


def parts(message: Row) -> list[Part]:
    """Return the messages that say it, the last with the buttons of a question's choices."""
    offered = choices(message["id"], message["choices"]) if message["choices"] else []
    return message_parts(message["text"], then=offered)


def face(message: Row) -> Face:
    """Return under which name and icon a message is shown."""
    name = message["author"][:_LONGEST_NAME]
    if message["is_human"]:
        return Face(name=name, icon=PERSON)
    return Face(name=name, icon=icon_for(message["author_capabilities"] or ()))
