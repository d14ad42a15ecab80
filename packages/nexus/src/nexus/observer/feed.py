"""Where entries of the feed become sentences: who did what to what, and in which tone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nexus.domain.redaction import without_secrets
from nexus.domain.tool_calls import CallState
from nexus.services import agents
from nexus.store.tx import Row, Tx

_LONGEST_NOTE = 240

_VERBS: dict[str, tuple[str, str]] = {
    "task_created": ("created", "wait"),
    "task_assigned": ("took", "run"),
    "assignment_sent": ("was sent", "run"),
    "assignment_heard": ("has received", "run"),
    "message_heard": ("has heard the message in", "calm"),
    "task_started": ("works on", "run"),
    "task_progress": ("goes on with", "run"),
    "agent_thought": ("thinks about", "calm"),
    "task_blocked": ("needs a person for", "ask"),
    "task_done": ("finished", "good"),
    "task_failed": ("failed at", "bad"),
    "task_retrying": ("will try again", "warn"),
    "task_retried": ("sent back to work", "wait"),
    "task_released": ("handed back", "wait"),
    "task_cancelled": ("cancelled", "calm"),
    "task_edited": ("edited", "calm"),
    "task_moved": ("moved", "calm"),
    "message_posted": ("wrote in", "talk"),
    "agent_connected": ("connected", "good"),
    "agent_disconnected": ("disconnected", "calm"),
    "agent_status": ("says it is", "calm"),
    "agent_registered": ("asks to join", "ask"),
    "agent_created": ("created the agent", "calm"),
    "agent_approved": ("let in", "good"),
    "agent_rejected": ("turned away", "warn"),
    "agent_banned": ("banned", "bad"),
    "agent_unbanned": ("let in again", "good"),
    "agent_woken": ("called", "calm"),
    "agent_logged_out": ("logged out", "warn"),
    "agents_stopped": ("stopped all agents", "bad"),
    "agents_resumed": ("let all agents work again", "good"),
    "secret_rotated": ("replaced the secret of", "warn"),
    "access_revoked": ("ended an access", "calm"),
    "agent_edited": ("edited", "calm"),
    "group_edited": ("edited the group", "calm"),
    "group_joined": ("let into a group", "calm"),
    "group_left": ("took out of a group", "calm"),
    "project_edited": ("edited the project", "calm"),
    "group_created": ("created the group", "calm"),
    "group_archived": ("archived the group", "calm"),
    "project_created": ("created the project", "calm"),
    "project_archived": ("archived the project", "calm"),
    "token_created": ("made a registration token", "calm"),
    "token_revoked": ("revoked a registration token", "calm"),
    "tool_started": ("calls", "run"),
    "tool_ended": ("has called", "calm"),
    "tool_refused": ("may not call", "warn"),
    "approval_requested": ("asks a person to approve", "ask"),
    "approval_decided": ("decided about", "good"),
    "tool_rule_added": ("added a rule for", "calm"),
    "tool_rule_removed": ("removed the rule", "calm"),
    "delivery_failed": ("could not deliver", "bad"),
    "mirror_paused": ("is not shown in Slack any more", "warn"),
    "mirror_resumed": ("has shown in Slack again", "good"),
}
_BY_A_PERSON = {"task_done": "marked as done", "task_failed": "marked as failed"}
_NOTES = ("error", "text", "message", "reason")
_BY_THE_AGENT = frozenset(
    {"agent_connected", "agent_disconnected", "agent_status", "agent_registered"}
)


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One thing that happened; ``who`` did it to ``what``, and ``note`` is what was said."""

    id: int
    at: int
    type: str
    tone: str
    who: str
    verb: str
    what: str
    note: str
    agent_id: str | None
    task_id: str | None
    by_agent: bool


def sentences(tx: Tx, entries: Sequence[Row]) -> list[Sentence]:
    """Return the entries as people read them."""
    ids = sorted({entry["agent_id"] for entry in entries if entry["agent_id"]})
    names = agents.names(tx, ids)
    return [_sentence(entry, names.get(entry["agent_id"], "")) for entry in entries]


def _sentence(entry: Row, agent: str) -> Sentence:
    data: dict[str, Any] = entry["data"]
    verb, tone = _VERBS.get(entry["type"], (entry["type"].replace("_", " "), "calm"))
    by = data.get("by")
    if by is not None:
        verb = _BY_A_PERSON.get(entry["type"], verb)
    by_agent = bool(agent) and (by is None or entry["type"] in _BY_THE_AGENT)
    if "tool" in data and "action" in data:
        verb, tone = _about_a_call(entry, verb, tone)
        verb += " for" if entry["task_id"] is not None or not by_agent else ""
    who = data.get("author") or (agent if by_agent else by) or "Nexus"
    return Sentence(
        id=entry["id"],
        at=entry["at"],
        type=entry["type"],
        tone=tone,
        who=str(who),
        verb=verb,
        what=_what(entry, agent, by_agent=by_agent),
        note=_note(data),
        agent_id=entry["agent_id"],
        task_id=entry["task_id"],
        by_agent=by_agent,
    )


def _about_a_call(entry: Row, verb: str, tone: str) -> tuple[str, str]:
    """Return how a sentence about the call of a tool goes on, and its tone."""
    data = entry["data"]
    if entry["type"] == "approval_decided":
        verb, tone = ("approved", "good") if data.get("approved") else ("denied", "bad")
    elif entry["type"] == "tool_ended" and data.get("state") != CallState.DONE:
        verb, tone = "could not call", "bad"
    return f"{verb} {data['tool']}.{data['action']}", tone


def _what(entry: Row, agent: str, *, by_agent: bool) -> str:
    data = entry["data"]
    if entry["task_id"] is not None:
        return str(data.get("title") or "a task")
    if entry["type"] == "agent_status":
        return str(data.get("status") or "")
    if agent and not by_agent:
        return agent
    return str(data.get("name") or "") if not by_agent else ""


def _note(data: dict[str, Any]) -> str:
    said = next((str(data[name]) for name in _NOTES if data.get(name)), "")
    cut = said if len(said) <= _LONGEST_NOTE else said[:_LONGEST_NOTE].rstrip() + " ..."
    return without_secrets(cut)
