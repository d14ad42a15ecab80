"""Where it is told how a task stands, for a test that expected something else."""

from collections.abc import Sequence

from oblivion.testing._server import Heard
from oblivion.testing._tasks import Record

_LAST = 10


def story_of(task: Record, heard: Sequence[Heard]) -> str:
    """Return how a task stands, its conversation, and what agents said last."""
    holder = "nobody" if task.holder is None else task.holder.client_id
    lines = [
        f"{task.id} {task.title!r} is {task.status}",
        f"  attempt {task.attempt}, held by {holder}",
    ]
    if task.error:
        lines.append(f"  error: {task.error}")
    lines += [f"  {message.username}: {message.text}" for message in task.thread]
    said = [f"{call.type} {_brief(call)}".rstrip() for call in heard[-_LAST:]]
    lines.append(f"  calls: {'; '.join(said) or 'none'}")
    return "\n".join(lines)


def _brief(call: Heard) -> str:
    shown = {key: call.payload[key] for key in ("taskId", "status", "text") if key in call.payload}
    return " ".join(f"{key}={value}" for key, value in shown.items())
