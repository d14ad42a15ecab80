"""Where it is decided whether what an agent says is shown elsewhere, or is too much, or a loop."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

AGENT_A_MINUTE = 10
PROJECT_AN_HOUR = 100
SAME_WITHIN_MS = 10_000

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Something that an agent said; ``shown`` is what became of it.

    What has an equal ``digest`` is the same text in the same thread.
    """

    agent_id: str
    project_id: str
    digest: str
    at: int
    shown: bool = True


class Verdict(StrEnum):
    """What is to be done with a message."""

    SHOW = "show"
    HOLD_AGENT = "hold_agent"
    """The agent says too much; the message stays in its thread alone."""
    HOLD_PROJECT = "hold_project"
    """The project's agents together say too much."""
    PAUSE = "pause"
    """The agent says the same again and again; it is not shown until a person looked."""


def judge(
    lately: Iterable[Utterance],
    said: Utterance,
    *,
    is_question: bool = False,
    answered_at: int | None = None,
) -> Verdict:
    """Return what is to be done with ``said``, after what was said in the hour before it.

    A question is always shown, for somebody waits for its answer; but not again and again, unless a
    person spoke in between, at ``answered_at``: then it is asked anew.
    """
    earlier = list(lately)
    own = [one for one in earlier if one.agent_id == said.agent_id]
    same = [one for one in own if one.digest == said.digest and _since(one, said, SAME_WITHIN_MS)]
    if any(answered_at is None or one.at > answered_at for one in same):
        return Verdict.PAUSE
    if is_question:
        return Verdict.SHOW
    if _shown(own, said, MINUTE_MS) >= AGENT_A_MINUTE:
        return Verdict.HOLD_AGENT
    beside = [one for one in earlier if one.project_id == said.project_id]
    if _shown(beside, said, HOUR_MS) >= PROJECT_AN_HOUR:
        return Verdict.HOLD_PROJECT
    return Verdict.SHOW


def _shown(before: Iterable[Utterance], said: Utterance, within_ms: int) -> int:
    return sum(one.shown and _since(one, said, within_ms) for one in before)


def _since(one: Utterance, said: Utterance, within_ms: int) -> bool:
    return said.at - one.at < within_ms


def is_news(lately: Iterable[Utterance], said: Utterance, verdict: Verdict) -> bool:
    """Say whether people must be told that something is held back: once in each window.

    ``lately`` is in order. A repetition was no case of that: people were told of a pause.
    """
    earlier = list(lately)
    held = [one for number, one in enumerate(earlier) if _is_held(one, earlier[:number])]
    if verdict is Verdict.HOLD_AGENT:
        mine = [one for one in held if one.agent_id == said.agent_id]
        return not any(_since(one, said, MINUTE_MS) for one in mine)
    beside = [one for one in held if one.project_id == said.project_id]
    return not any(_since(one, said, HOUR_MS) for one in beside)


def _is_held(one: Utterance, before: Iterable[Utterance]) -> bool:
    words = one.agent_id, one.digest
    return not one.shown and not any(
        (other.agent_id, other.digest) == words and _since(other, one, SAME_WITHIN_MS)
        for other in before
    )
