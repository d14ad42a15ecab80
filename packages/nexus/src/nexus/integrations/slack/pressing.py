"""Where people's presses of buttons are carried out, and the message shows who did what."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nexus.domain.audit_chain import End, audit_key
from nexus.domain.errors import Conflict, NexusError, NotFound
from nexus.domain.principal import Principal
from nexus.integrations.slack import boxes, lines, reading, showing
from nexus.integrations.slack.people import People
from nexus.integrations.slack.rendering import Press, Verb, answered, pressed
from nexus.integrations.slack.saying import person
from nexus.integrations.worker import Record, Undeliverable, nothing
from nexus.services import approvals, audit, tasks, threads, views, workspace
from nexus.services import slack as places
from nexus.services.approvals import Approve, Deny
from nexus.services.platform import Platform
from nexus.services.tasks import Reason
from nexus.services.threads import Author
from nexus.store.schema import messages
from nexus.store.tx import Row, Tx

ROLE = "slack"


@dataclass(frozen=True, kw_only=True)
class Presser:
    """Who pressed a button, and on which message."""

    tenant_id: str
    user_id: str
    name: str
    channel_id: str
    message_ts: str
    thread_ts: str
    action_ts: str
    response_url: str

    @property
    def client_id(self) -> str:
        """How services and the audit log name them."""
        return f"slack:{self.user_id}"

    @property
    def signature(self) -> str:
        """Under which a decision is kept: names change, and are not unique."""
        return f"{self.name[:80]} ({self.client_id})"

    @property
    def principal(self) -> Principal:
        """Whoever pressed, as services know who asks."""
        return person(self.tenant_id, self.client_id)

    @property
    def author(self) -> Author:
        """Whoever pressed, as somebody who speaks in a thread."""
        return Author(id=self.client_id, name=self.name, is_human=True)


class Pressing:
    """Carries out the interactions of ``slack-in``.

    Slack lets everybody who sees a message press its buttons, so it is asked anew who somebody is.
    """

    def __init__(self, platform: Platform, people: People, operators: Collection[str]) -> None:
        self._platform = platform
        self._people = people
        self._operators = frozenset(operators)
        self._acts: Mapping[Verb, Callable[[Tx, Presser, Press], None]] = {
            Verb.CANCEL: _cancel,
            Verb.RETRY: _retry,
            Verb.CHOOSE: _choose,
            Verb.APPROVE: _approve,
            Verb.DENY: _deny,
            Verb.RESUME: _resume,
        }

    async def __call__(self, row: Row) -> Record:
        """Carry out one press, or tell who pressed why not."""
        payload = row["payload"]
        try:
            press = pressed(payload["actions"][0])
            if press is None or press.verb not in self._acts:
                return nothing
            user = await self._people.may_act(reading.name_in(payload["user"]["id"]))
            presser = _presser(row["tenant_id"], payload, user["name"])
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise Undeliverable(f"a field is missing or has another shape: {error}") from error
        if not self._may(user):
            return lambda tx: _whisper(tx, presser, lines.not_allowed())
        return lambda tx: self._carry_out(tx, presser, press)

    def _may(self, user: Row) -> bool:
        named = {user["id"], (user["email"] or "").lower()}
        return user["may_act"] and (not self._operators or bool(named & self._operators))

    def _carry_out(self, tx: Tx, presser: Presser, press: Press) -> End | None:
        try:
            self._acts[press.verb](tx, presser, press)
        except NexusError as refusal:  # it comes before anything was changed
            _whisper(tx, presser, lines.refused(refusal.message))
            return None
        act = audit.Act(
            actor=presser.client_id,
            role=ROLE,
            action=f"slack_{press.verb}",
            target=press.target,
            details={"name": presser.name},
        )
        return audit.append(tx, audit_key(self._platform.pepper), presser.tenant_id, act)


def _presser(tenant_id: str, payload: Mapping[str, Any], name: str) -> Presser:
    container = payload["container"]
    ts = reading.place_in(container["message_ts"])
    return Presser(
        tenant_id=tenant_id,
        user_id=reading.name_in(payload["user"]["id"]),
        name=name,
        channel_id=reading.name_in(container["channel_id"]),
        message_ts=ts,
        thread_ts=reading.place_in(container.get("thread_ts") or ts),
        action_ts=reading.place_in(payload["actions"][0]["action_ts"]),
        response_url=str(payload["response_url"]),
    )


def _cancel(tx: Tx, presser: Presser, press: Press) -> None:
    reason = Reason(reason=f"cancelled in Slack by {presser.name}")
    tasks.cancel(tx, presser.principal, press.target, reason)
    _say(tx, presser, press.target, lines.cancelled_by(presser.name))


def _retry(tx: Tx, presser: Presser, press: Press) -> None:
    tasks.retry(tx, presser.principal, press.target)
    _say(tx, presser, press.target, lines.retried_by(presser.name))


def _choose(tx: Tx, presser: Presser, press: Press) -> None:
    """Let somebody answer a question with one of its choices; only the first answer counts."""
    question = showing.message(tx, press.target)
    offered = [] if question is None else question["choices"] or []
    if question is None or press.choice is None or press.choice >= len(offered):
        raise NotFound("there is no such question any more")
    task = views.task_row(tx, question["task_id"])
    if task["tenant_id"] != presser.tenant_id:
        raise NotFound("there is no such question any more")
    if _is_answered(tx, question):
        raise Conflict("somebody has answered this question already")
    choice = offered[press.choice]
    posted = threads.post(tx, task, presser.author, choice)
    # The question itself shows the answer; it is not posted below it once more.
    places.place(tx, presser.channel_id, presser.action_ts, posted.id, ours=False)
    shown = answered(showing.parts(question)[-1], presser.name, choice)
    boxes.speak(
        tx,
        presser.tenant_id,
        key=question["id"],
        lane=boxes.cards_lane(task),
        kind=boxes.CHOSEN,
        channel_id=presser.channel_id,
        ts=presser.message_ts,
        text=shown.text,
        blocks=shown.blocks,
    )


def _is_answered(tx: Tx, question: Row) -> bool:
    later = (messages.c.task_id == question["task_id"]) & (messages.c.ts > question["ts"])
    found = sa.select(messages.c.id).where(later, messages.c.is_human).limit(1)
    return tx.one(found) is not None


def _approve(tx: Tx, presser: Presser, press: Press) -> None:
    approvals.decide_of(tx, presser.tenant_id, presser.signature, press.target, Approve())


def _deny(tx: Tx, presser: Presser, press: Press) -> None:
    approvals.decide_of(tx, presser.tenant_id, presser.signature, press.target, Deny())


def _resume(tx: Tx, presser: Presser, press: Press) -> None:
    workspace.resume(tx, presser.principal, press.target)
    _settle(tx, presser, lines.resumed_by(presser.name))


def _settle(tx: Tx, presser: Presser, line: str) -> None:
    boxes.speak(
        tx,
        presser.tenant_id,
        key=f"settled:{presser.message_ts}",
        lane=f"{presser.channel_id}:buttons",
        kind=boxes.CHOSEN,
        channel_id=presser.channel_id,
        ts=presser.message_ts,
        text=line,
        blocks=[],
    )


def _say(tx: Tx, presser: Presser, task_id: str, line: str) -> None:
    boxes.speak(
        tx,
        presser.tenant_id,
        key=f"pressed:{presser.action_ts}",
        lane=boxes.lane_of(views.task_row(tx, task_id)),
        channel_id=presser.channel_id,
        thread_ts=presser.thread_ts,
        text=line,
    )


def _whisper(tx: Tx, presser: Presser, line: str) -> None:
    """Tell whoever pressed, and nobody else."""
    boxes.speak(
        tx,
        presser.tenant_id,
        key=f"{presser.action_ts}:{presser.user_id}",
        lane=f"{presser.channel_id}:whispers",
        kind=boxes.WHISPER,
        url=presser.response_url,
        text=line,
    )
