"""Where Nexus processes are born quickly: one that has imported Nexus forks another for each life.

Run as a program. It reads a JSON object a line, with ``failpoint``, ``armed_by``, ``fault``,
``log`` and ``settings``, forks, and writes ``up`` once the child answers requests and ``ended``
with its exit status when it died. The child is a whole Nexus with its own loop, threads and
database connections: nothing of that is there at the fork.
"""

import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2

from nexus import failpoints
from nexus.server import Serving, run, serve
from nexus.settings import load_settings
from nexus.store.postgres_unit_of_work import PostgresUnitOfWork
from nexus.store.unit_of_work import SqliteUnitOfWork


def main() -> None:
    """Live one life after the other until nobody asks for more."""
    asyncio.run(_warm_up())
    assert threading.active_count() == 1, "a thread would not live on in the child"
    gc.collect()
    gc.freeze()
    while line := _read_line():
        pid = os.fork()
        if pid == 0:
            _live(json.loads(line))
        _say(f"born {pid}")
        _, status = os.waitpid(pid, 0)
        _say(f"ended {os.waitstatus_to_exitcode(status)}")


async def _warm_up() -> None:
    """Start and stop once elsewhere, so that each life finds all imported and compiled."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            data_dir=Path(folder), port=0, admin_client_secret=token_urlsafe(32)
        )
        visits: list[asyncio.Task[None]] = []
        await serve(settings, lambda serving: visits.append(asyncio.create_task(_visit(serving))))
        await visits[0]


async def _visit(serving: Serving) -> None:
    """Ask for what is not there: FastAPI works out all its routes while it looks for it."""
    async with httpx2.AsyncClient(base_url=serving.url, verify=False) as http:
        assert (await http.get("/nowhere")).status_code == 404
    serving.stop()


def _read_line() -> bytes:
    """Read without a buffer: what is ahead belongs to a later life."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def _live(life: dict[str, Any]) -> None:
    log = os.open(life["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    if life["armed_by"] is None:
        failpoints.arm(life["failpoint"])
    else:
        _arm_later(life["failpoint"], life["armed_by"])
    if life["fault"] is not None:
        import planted_faults

        planted_faults.plant(life["fault"], Path(life["log"]).parent)
    status = 1
    try:
        run(load_settings(**life["settings"]), lambda _serving: _say("up"))
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it was, the log has it and the process ends
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _arm_later(failpoint: str, armed_by: str) -> None:
    """Arm the point with the first command whose service lives in a module.

    ``MODULE:3`` is the third.

    Whatever follows on its acceptance counts from when the command runs on: an earlier one may
    still be on its way to the disk when it comes in. On PostgreSQL others run beside it, so they
    are done with before and stand back until it is over.
    """
    module, _, place = armed_by.partition(":")
    arming = _Arming(failpoint, module, earlier=int(place or 1) - 1)
    for store in (SqliteUnitOfWork, PostgresUnitOfWork):
        store.write = arming.around(store.write)  # type: ignore[method-assign]  # a seam


class _Arming:
    """Where one command is picked from all, to have the point armed for it."""

    def __init__(self, failpoint: str, module: str, *, earlier: int) -> None:
        self._waiting = [failpoint]
        self._module = module
        self._earlier = earlier
        self._others: set[asyncio.Task[Any]] = set()
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    def around(self, write: Callable[..., Any]) -> Any:
        """Return ``write`` with the picking before it."""

        async def pick(store: Any, service: Callable[..., Any], *args: Any, **more: Any) -> Any:
            if not self._is_meant(service):
                await self._may_go_on.wait()
                other = asyncio.ensure_future(write(store, service, *args, **more))
                self._others.add(other)
                other.add_done_callback(self._others.discard)
                return await other
            if self._waiting and self._others:
                self._may_go_on.clear()
                await asyncio.wait(set(self._others))
            if not self._waiting:
                return await write(store, service, *args, **more)
            try:
                return await write(store, self._armed(service), *args, **more)
            finally:
                self._may_go_on.set()

        return pick

    def _is_meant(self, service: Callable[..., Any]) -> bool:
        is_near = service.__module__ == self._module
        if is_near and self._earlier:
            self._earlier -= 1
            return False
        return is_near

    def _armed(self, service: Callable[..., Any]) -> Callable[..., Any]:
        self._may_go_on.clear()
        point = self._waiting.pop()
        if point.startswith("accept"):
            failpoints.arm(point)

        def armed(*given: Any, **named: Any) -> Any:
            failpoints.arm(point)
            return service(*given, **named)

        return armed


def _end_with_the_test() -> None:
    """Die when the other end of stdin is closed: nobody writes there while a life lasts."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
