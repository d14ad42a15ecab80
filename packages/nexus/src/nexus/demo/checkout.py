"""Where the demo finds what it shows: the repository with its examples, and the tasks about it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.demo.errors import DemoFailed

_EXAMPLES = Path("packages", "sdk-python", "examples")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A working copy of the repository."""

    root: Path
    agent: Path
    """The program that plays the agents."""
    tasks: Path
    """What they are given to do, as ``nexus tasks import`` reads it."""


def find_checkout() -> Checkout:
    """Return the working copy that this code or the current folder lies in.

    Raises:
        DemoFailed: neither lies in one.
    """
    for root in (*Path(__file__).resolve().parents, Path.cwd(), *Path.cwd().parents):
        found = Checkout(
            root=root,
            agent=root / _EXAMPLES / "code_reviewer.py",
            tasks=root / _EXAMPLES / "review_tasks.json",
        )
        if found.agent.is_file() and found.tasks.is_file():
            return found
    raise DemoFailed(
        f"the demo needs a checkout of the repository, for its {_EXAMPLES.as_posix()}; "
        "clone https://github.com/itamarmarom/Oblivion and run `make demo` in there"
    )


def read_tasks(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of a file, each as the API takes it but for its project.

    Raises:
        DemoFailed: the file cannot be read.
    """
    try:
        tasks: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DemoFailed(f"cannot read the tasks in {path}: {error}") from error
    return tasks
