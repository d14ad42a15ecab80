"""Where a task's root message is drawn: how it stands, and what people may do about it."""

from dataclasses import dataclass

from nexus.integrations.slack.rendering._buttons import (
    Block,
    Doubt,
    Part,
    Verb,
    actions,
    button,
    context,
    section,
)
from nexus.integrations.slack.rendering._text import fitted, link, one_line, person
from oblivion.protocol import FINAL_STATUSES, TaskStatus

_STATUS = {
    TaskStatus.TODO: ":white_circle: Waiting for an agent",
    TaskStatus.CLAIMED: ":large_yellow_circle: Claimed",
    TaskStatus.IN_PROGRESS: ":large_blue_circle: In progress",
    TaskStatus.BLOCKED_ON_HUMAN: ":raising_hand: Waiting for a person",
    TaskStatus.DONE: ":white_check_mark: Done",
    TaskStatus.FAILED: ":x: Failed",
    TaskStatus.CANCELLED: ":no_entry_sign: Cancelled",
}
_PRIORITY = {1: ":rotating_light: Urgent", 2: ":small_red_triangle: High", 3: "Normal", 4: "Low"}
_RETRYABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})
_CELLS = 10
_START = 1000
_REPORT = 300

_SURELY = Doubt(
    title="Cancel this task?",
    text="Whoever works on it is stopped. It can be retried later.",
    confirm="Cancel the task",
    deny="Keep it",
)


@dataclass(frozen=True, kw_only=True)
class TaskCard:
    """What a task's root message shows; ``progress`` is 0 to 1, ``holder`` an agent's name.

    ``report`` is how the holder puts its progress, such as ``40 %: running tests``.
    """

    id: str
    title: str
    status: TaskStatus
    project: str
    priority: int = 3
    holder: str | None = None
    description: str = ""
    progress: float | None = None
    report: str | None = None
    error: str | None = None
    url: str | None = None


def card(task: TaskCard) -> Part:
    """Return the message that shows how a task stands."""
    blocks = [section(f"*{link(task.url, task.title)}*"), _fields(task)]
    if task.description.strip():
        blocks.append(section(fitted(task.description.strip(), _START)))
    if task.error and task.status is TaskStatus.FAILED:
        blocks.append(section(f":warning: {fitted(task.error, _START)}"))
    blocks += [*_buttons(task), context(f"Task {fitted(task.id, 100)}. Reply in this thread.")]
    words = _STATUS[task.status].partition(" ")[2].lower()
    title = fitted(one_line(task.title), 300)
    return Part(text=f"{title}: {words} ({fitted(task.project, 200)})", blocks=blocks)


def _fields(task: TaskCard) -> Block:
    shown = {
        "Status": _STATUS[task.status],
        "Priority": _PRIORITY.get(task.priority, str(task.priority)),
        "Project": fitted(one_line(task.project), 200),
        "Agent": person(task.holder) if task.holder else "nobody yet",
    }
    if task.progress is not None and task.status not in FINAL_STATUSES:
        shown["Progress"] = _progress(task.progress, task.report)
    texts = (f"*{name}*\n{value}" for name, value in shown.items())
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text} for text in texts]}


def _progress(progress: float, report: str | None) -> str:
    share = min(max(progress, 0.0), 1.0)
    full = int(share * _CELLS)
    words = f"{share:.0%}" if report is None else fitted(one_line(report), _REPORT)
    return f"{'█' * full}{'░' * (_CELLS - full)} {words}"


def _buttons(task: TaskCard) -> list[Block]:
    if task.status in _RETRYABLE:
        return [actions(button(Verb.RETRY, "Retry", task.id))]
    if task.status in FINAL_STATUSES:
        return []
    return [actions(button(Verb.CANCEL, "Cancel", task.id, style="danger", doubt=_SURELY))]
