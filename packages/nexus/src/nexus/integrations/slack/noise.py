"""Where agents that say too much, or the same again and again, are kept from filling a channel."""

import hashlib

import sqlalchemy as sa

from nexus.domain.noise import (
    HOUR_MS,
    PROJECT_AN_HOUR,
    SAME_WITHIN_MS,
    Utterance,
    Verdict,
    is_news,
    judge,
)
from nexus.integrations.slack import boxes, lines
from nexus.integrations.slack.rendering import paused
from nexus.services import activity, deliveries
from nexus.services.deliveries import Letter
from nexus.store.schema import messages, slack_pauses, slack_said
from nexus.store.tx import Row, Tx
from oblivion.protocol import MessageKind

_WHY = "it said the same twice within seconds in one thread"


def admit(tx: Tx, entry: Row) -> bool:
    """Say whether a message of the feed is to be shown; note that it was said.

    People's messages always are. The first that is held back, and a pause, people are told of.
    """
    if entry["data"]["is_human"]:
        return True
    if _is_paused(tx, entry["agent_id"]):
        return False
    said = Utterance(
        agent_id=entry["agent_id"],
        project_id=entry["project_id"],
        digest=_digest(entry),
        at=entry["at"],
    )
    lately = _lately(tx, said)
    is_question = entry["data"]["kind"] == MessageKind.QUESTION
    answered_at = _answered_at(tx, entry) if is_question else None
    verdict = judge(lately, said, is_question=is_question, answered_at=answered_at)
    shown = verdict is Verdict.SHOW
    if not shown and verdict is not Verdict.PAUSE:
        _forget(tx, said)
    tx.insert(slack_said, {**vars(said), "shown": shown})
    if verdict is Verdict.PAUSE:
        _pause(tx, entry)
    elif not shown and is_news(lately, said, verdict):
        held_back = lines.held_back(entry["data"]["author"])
        is_agents = verdict is Verdict.HOLD_AGENT
        _tell(tx, entry, held_back if is_agents else lines.project_held_back(PROJECT_AN_HOUR))
    return shown


def _digest(entry: Row) -> str:
    """Return what is the same for the same words in the same thread: elsewhere they are others."""
    words = f"{entry['task_id']}\n{entry['data']['text']}"
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()


def _answered_at(tx: Tx, entry: Row) -> int | None:
    """Return when a person spoke last in the thread, before this was said."""
    before = messages.c.created_at <= entry["at"]
    newest = sa.select(sa.func.max(messages.c.created_at)).where(
        messages.c.task_id == entry["task_id"], messages.c.is_human, before
    )
    found: int | None = tx.scalar(newest)
    return found


def _lately(tx: Tx, said: Utterance) -> list[Utterance]:
    tx.change(slack_said.delete().where(slack_said.c.at <= said.at - HOUR_MS))
    near = (slack_said.c.agent_id == said.agent_id) | (slack_said.c.project_id == said.project_id)
    names = ("agent_id", "project_id", "digest", "at", "shown")
    rows = tx.rows(
        sa.select(*(slack_said.c[name] for name in names)).where(near).order_by(slack_said.c.id)
    )
    return [Utterance(**row) for row in rows]


def _forget(tx: Tx, said: Utterance) -> None:
    """Drop what was held back before ``said``, which tells the same; else it would pile up."""
    mine = (slack_said.c.agent_id == said.agent_id) & (slack_said.c.project_id == said.project_id)
    old = slack_said.c.at <= said.at - SAME_WITHIN_MS
    tx.change(slack_said.delete().where(mine, old, ~slack_said.c.shown))


def _is_paused(tx: Tx, agent_id: str) -> bool:
    missed = slack_pauses.update().where(slack_pauses.c.agent_id == agent_id)
    return bool(tx.change(missed.values(missed=slack_pauses.c.missed + 1)))


def _pause(tx: Tx, entry: Row) -> None:
    agent_id, name = entry["agent_id"], entry["data"]["author"]
    values = {"agent_id": agent_id, "reason": _WHY, "missed": 1, "paused_at": tx.now}
    tx.insert(slack_pauses, values)
    part = paused(lines.paused(name, _WHY), agent_id)
    _tell(tx, entry, part.text, part.blocks)
    activity.record(
        tx, entry["tenant_id"], "mirror_paused", agent_id=agent_id, name=name, reason=_WHY
    )


def _tell(tx: Tx, entry: Row, line: str, blocks: list[dict[str, object]] | None = None) -> None:
    """Have the app say something in the task's thread, in its turn."""
    letter = Letter(
        tenant_id=entry["tenant_id"],
        box=boxes.OUT,
        key=f"noise:{entry['id']}",
        lane=entry["project_id"],
        kind=boxes.LINE,
        payload={"text": line, "blocks": blocks or []},
        task_id=entry["task_id"],
    )
    deliveries.post(tx, letter)
