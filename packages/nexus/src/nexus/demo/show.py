"""Where the demo is directed, from the first process to the last."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nexus.demo import stage
from nexus.demo.api import Api
from nexus.demo.board import Board, Entry, entry_of
from nexus.demo.checkout import Checkout, find_checkout, read_tasks
from nexus.demo.closing import how_to_go_on, how_to_play, totals
from nexus.demo.errors import DemoFailed, DemoInterrupted
from nexus.demo.keyboard import Keyboard
from nexus.demo.person import PLAYED, Person
from nexus.demo.processes import Processes
from nexus.demo.screen import Screen, summary_table

_WORK_S = 120.0
_POLL_S = 2
"""How long one look at the feed waits; in between it is seen to that all processes live."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the audience may choose."""

    agents: int = 2
    ask: bool = False
    keep: bool = False


def run(options: Options) -> None:
    """Show the demo to its end.

    Raises:
        DemoFailed: it could not begin, broke off, or left a task that is not done.
        DemoInterrupted: Ctrl-C; no process is left.
    """
    asyncio.run(_until_signal(options))


async def _until_signal(options: Options) -> None:
    show = asyncio.ensure_future(_perform(options))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with suppress(AttributeError, NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), show.cancel)
    try:
        await show
    except asyncio.CancelledError:
        raise DemoInterrupted from None


async def _perform(options: Options) -> None:
    checkout = find_checkout()
    board = Board()
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 200
    screen = Screen(console, board, with_board=not options.ask)
    at_terminal = console.is_terminal and sys.stdin.isatty()
    with _folder() as folder, Processes(folder) as processes, screen:
        try:
            show = Show(options, checkout, processes, board, screen)
            await show.perform(folder / "data", Keyboard() if at_terminal else None)
        except DemoFailed:
            screen.hide_board()
            Console(stderr=True, markup=False).print(processes.last_words(), soft_wrap=True)
            raise


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for this demo, and remove it unless the demo failed."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-demo-"))
    try:
        yield folder
    except DemoFailed:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


class Show:
    """One performance."""

    def __init__(
        self,
        options: Options,
        checkout: Checkout,
        processes: Processes,
        board: Board,
        screen: Screen,
    ) -> None:
        self._options = options
        self._checkout = checkout
        self._processes = processes
        self._board = board
        self._screen = screen
        self._seen = 0

    async def perform(self, data_dir: Path, audience: Keyboard | None) -> None:
        """Set the scene, watch the work, sum it up; wait for an audience to come, and to leave."""
        tasks = read_tasks(self._checkout.tasks)
        self._screen.say(f"Starting Nexus in {data_dir} ...", "dim")
        async with await stage.start_nexus(self._processes, data_dir) as api:
            self._screen.say(f"Nexus answers at {api.url}", "bold")
            self._screen.say(f"Watch it in a browser: {api.link}")
            await self._employ(api)
            if audience is not None:
                await audience.line("\nOpen the link, then press Enter, and the work begins. ")
            for task in await stage.import_tasks(api, tasks):
                self._board.add(task)
            self._screen.say(f"{len(tasks)} tasks imported from {self._checkout.tasks.name}\n")
            self._screen.show_board()
            await self._watch_to_the_end(api, audience)
            self._screen.hide_board()
            self._sum_up()
            if self._options.keep:
                self._screen.say(how_to_play(api.url, data_dir, stage.PROJECT))
                await self._stay_open(api, asyncio.Event().wait())
            elif audience is not None:
                await self._stay_open(api, audience.line("Look around; Enter ends the demo. "))

    async def _employ(self, api: Api) -> None:
        for agent in await stage.make_team(api, self._options.agents):
            self._board.agents[agent.id] = agent.name
            stage.start_agent(self._processes, self._checkout, api.url, agent)
        names = ", ".join(self._board.agents.values())
        program = self._checkout.agent.relative_to(self._checkout.root)
        self._screen.say(f"{names}: a process each, running {program.as_posix()}")

    async def _watch_to_the_end(self, api: Api, audience: Keyboard | None) -> None:
        person = Person(api, (audience or Keyboard()) if self._options.ask else None)
        try:
            async with asyncio.timeout(_WORK_S if not self._options.ask else None):
                async with asyncio.TaskGroup() as answers:
                    while not self._board.is_finished:
                        for entry in await self._look(api):
                            await self._show(api, entry)
                            job = self._board.job_of(entry)
                            if job is not None and entry.data.get("kind") == "question":
                                answers.create_task(person.answer(entry.task_id or "", job))
        except TimeoutError:
            raise DemoFailed(f"the tasks were not done within {_WORK_S:g} s") from None
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _look(self, api: Api) -> list[Entry]:
        """Return what happened since the last look."""
        self._processes.check()
        page = await api.get("/observer/activity", after=self._seen, waitSeconds=_POLL_S, limit=200)
        self._seen = int(page["nextCursor"])
        return [entry_of(item) for item in page["items"]]

    async def _show(self, api: Api, entry: Entry) -> None:
        self._board.apply(entry)
        job = self._board.job_of(entry)
        if job is not None and entry.type == "task_done":
            job.result = (await api.get(f"/tasks/{entry.task_id}"))["result"]
        self._screen.tell(entry)

    def _sum_up(self) -> None:
        self._screen.say("")
        self._screen.show(summary_table(self._board))
        self._screen.say(f"\n{totals(self._board)}", "bold")
        if not self._board.is_done:
            raise DemoFailed("not every task was done")
        if not self._options.ask:
            self._screen.say(f"({PLAYED} was played by the demo; --ask lets you answer.)", "dim")
        self._screen.say(how_to_go_on())

    async def _stay_open(self, api: Api, leaving: Coroutine[Any, Any, object]) -> None:
        """Go on until they leave, or until Ctrl-C, which is as good an end."""
        looking, gone = asyncio.create_task(self._look_on(api)), asyncio.create_task(leaving)
        with suppress(asyncio.CancelledError):
            await asyncio.wait({looking, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    async def _look_on(self, api: Api) -> None:
        while True:
            for entry in await self._look(api):
                await self._show(api, entry)
