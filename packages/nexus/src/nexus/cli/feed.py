"""Where the feed of what happens is followed: long polls that outlive restarts of the server."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nexus.cli.errors import Failed, NotReachable
from nexus.cli.output import note

if TYPE_CHECKING:
    from nexus.cli.client import Client

PATH = "/observer/activity"
WAIT_S = 25
"""How long the server holds a request open when nothing happens."""

_GRACE_S = 15
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0


def newest_id(nexus: "Client") -> int:
    """Return the id of the newest entry, 0 when there is none."""
    items = nexus.get(PATH, limit=1)["items"]
    return int(items[0]["id"]) if items else 0


def read(nexus: "Client", after: int, *, wait_s: int | None = None) -> list[dict[str, Any]]:
    """Return entries that came after ``after``, oldest first; wait for one if there is none."""
    timeout_s = (wait_s or 0) + _GRACE_S
    page = nexus.get(PATH, after=after, waitSeconds=wait_s, limit=200, timeout_s=timeout_s)
    return list(page["items"])


def read_all(nexus: "Client", after: int) -> Iterator[dict[str, Any]]:
    """Yield every entry that is there after ``after``, then end."""
    while items := read(nexus, after):
        yield from items
        after = items[-1]["id"]


def follow(
    nexus: "Client", after: int, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[dict[str, Any]]:
    """Yield every entry after ``after`` as it comes, without end.

    A server that goes away is waited for; each time, that is told once on standard error.

    Raises:
        BadUsage: the credentials are refused.
    """
    while True:
        try:
            items = read(nexus, after, wait_s=WAIT_S)
        except (NotReachable, Failed) as error:
            note(f"nexus: lost the server, waiting for it ({error})")
            _wait_for_return(nexus, sleep)
            continue
        yield from items
        after = items[-1]["id"] if items else after


def _wait_for_return(nexus: "Client", sleep: Callable[[float], None]) -> None:
    """Wait until the server answers; where its history is a new one, it tells all of that."""
    pause = _FIRST_PAUSE_S
    while True:
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
        with contextlib.suppress(NotReachable, Failed):
            newest_id(nexus)
            break
    note("nexus: the server is back")
