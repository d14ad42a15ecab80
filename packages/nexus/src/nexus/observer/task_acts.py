"""Where people act on tasks from the pages; each function is named as the API's operation."""

import re
from typing import Any

from starlette.responses import Response

from nexus.observer.visit import Visit
from nexus.services import tasks, threads
from nexus.services.tasks import CreateTask, EditTask, Reason
from nexus.services.threads import Say


async def create_task(visit: Visit) -> Response:
    """Make a task, once however often its form is sent."""
    wish = visit.wish(CreateTask, **_listed(visit))
    made = await visit.once(lambda tx, caller: tasks.create(tx, caller, wish), audited=False)
    return visit.go(f"/ui/tasks/{made['id']}", "created")


def _listed(visit: Visit) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "required_capabilities" in visit.form:
        said["required_capabilities"] = words(visit.form["required_capabilities"])
    for name in ("priority", "max_attempts", "timeout_seconds"):
        if visit.form.get(name, "").isdigit():
            said[name] = int(visit.form[name])
    return said


def words(text: str) -> list[str]:
    """Return the words of a list that a person wrote, with commas or without."""
    return [word for word in re.split(r"[\s,]+", text) if word]


async def cancel_task(visit: Visit) -> Response:
    """End a task for good."""
    task_id, wish = visit.names["task_id"], visit.wish(Reason)
    await visit.write(lambda tx, caller: tasks.cancel(tx, caller, task_id, wish))
    return visit.go(f"/ui/tasks/{task_id}", "cancelled")


async def retry_task(visit: Visit) -> Response:
    """Give a task a fresh set of attempts."""
    task_id = visit.names["task_id"]
    await visit.write(lambda tx, caller: tasks.retry(tx, caller, task_id))
    return visit.go(f"/ui/tasks/{task_id}", "retried")


async def edit_task(visit: Visit) -> Response:
    """Change a task's priority."""
    task_id, wish = visit.names["task_id"], visit.wish(EditTask, **_listed(visit))
    await visit.write(lambda tx, caller: tasks.edit(tx, caller, task_id, wish))
    return visit.go(f"/ui/tasks/{task_id}", "changed")


async def speak(visit: Visit) -> Response:
    """Speak in a task's thread, once however often the form is sent."""
    task_id, wish = visit.names["task_id"], visit.wish(Say)
    await visit.once(lambda tx, caller: threads.say(tx, caller, task_id, wish), audited=False)
    return visit.go(f"/ui/tasks/{task_id}", "spoken")
