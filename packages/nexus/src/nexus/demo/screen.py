"""Where the demo is shown: a feed that scrolls and, on a terminal, a board that stays below it."""

import re
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nexus.demo.board import Board, Entry, Job
from oblivion.protocol import TaskStatus

_STYLES = {
    TaskStatus.TODO: "dim",
    TaskStatus.CLAIMED: "cyan",
    TaskStatus.IN_PROGRESS: "cyan",
    TaskStatus.BLOCKED_ON_HUMAN: "bold yellow",
    TaskStatus.DONE: "green",
    TaskStatus.FAILED: "bold red",
    TaskStatus.CANCELLED: "red",
}
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_MOST_LINES = 12
_INDENT = " " * 14


class Screen:
    """What the audience sees."""

    def __init__(self, console: Console, board: Board, *, with_board: bool) -> None:
        self._console = console
        self._board = board
        live = Live(
            get_renderable=lambda: board_table(board),
            console=console,
            refresh_per_second=8,
            transient=True,
        )
        self._live = live if with_board and console.is_terminal else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide_board()

    def show_board(self) -> None:
        """Keep the board in sight below the feed."""
        if self._live is not None:
            self._live.start()

    def hide_board(self) -> None:
        """Leave the feed alone."""
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Show a line of the demo itself."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def show(self, table: Table) -> None:
        """Show a table."""
        self._console.print(table)

    def tell(self, entry: Entry) -> None:
        """Show what happened, if it is worth a line."""
        line = self._line(entry)
        if line is not None:
            clock = Text(f"{entry.at.astimezone():%H:%M:%S}  ", style="dim")
            self._console.print(Text.assemble(clock, line), soft_wrap=True)

    def _line(self, entry: Entry) -> Text | None:
        who = self._board.agents.get(entry.agent_id or "", "")
        job = self._board.job_of(entry)
        if entry.type == "agent_connected":
            return Text(f"    {who} is connected", style="blue")
        if job is None:
            return None
        number = Text(f"#{job.number:<2} ", style="bold")
        if entry.type == "message_posted":
            return number + message(entry, who)
        sentence = _sentence(entry, job, who)
        return None if sentence is None else number + sentence


def _sentence(entry: Entry, job: Job, who: str) -> Text | None:
    match entry.type:
        case "task_assigned":
            return Text(f"{who} gets: {job.title}", style="cyan")
        case "task_done":
            return Text(f"DONE in {job.seconds:.1f} s: {job.title}", style="bold green")
        case "task_retrying":
            return Text(f"will be tried again: {clean(job.error or '')}", style="yellow")
        case "task_failed" | "task_cancelled":
            return Text(f"{job.status}: {clean(job.error or '')}", style="bold red")
    return None


def message(entry: Entry, who: str) -> Text:
    """Return what somebody said in a thread, its first line beside the name, bounded in length."""
    text = _BOLD.sub(r"\1", clean(str(entry.data.get("text", ""))))
    first, *more = text.splitlines() or [""]
    rest = len(more) - _MOST_LINES
    if rest > 1:
        more = [*more[:_MOST_LINES], f"... {rest} more lines in the thread"]
    is_question = entry.data.get("kind") == "question"
    style = "bold yellow" if is_question else "bold" if entry.data.get("is_human") else ""
    speaker = entry.data.get("author") or who
    shown = Text(f"{speaker}{' asks' if is_question else ''}: {first}", style=style)
    for line in more:
        shown.append(f"\n{_INDENT}{line}", style=_diff_style(line))
    return shown


def _diff_style(line: str) -> str:
    if line.startswith("+"):
        return "green"
    return "red" if line.startswith("-") and not line.startswith("- ") else "dim"


def clean(text: str) -> str:
    """Return ``text`` without control characters: what others wrote cannot steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def board_table(board: Board) -> Table:
    """Return how every task stands at this moment."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("#", "TASK", "AGENT", "STATUS", "PROGRESS"):
        table.add_column(heading, no_wrap=True)
    for job in board.jobs.values():
        table.add_row(*_cells(job, board), ProgressBar(total=1, completed=job.progress, width=12))
    return table


def summary_table(board: Board) -> Table:
    """Return what became of every task."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("#", "TASK", "AGENT", "STATUS"):
        table.add_column(heading, no_wrap=True)
    for heading in ("FINDINGS", "QUESTIONS", "TIME"):
        table.add_column(heading, no_wrap=True, justify="right")
    for job in board.jobs.values():
        asked = str(job.questions or "")
        table.add_row(*_cells(job, board), str(job.findings), asked, f"{job.seconds:.1f} s")
    return table


def _cells(job: Job, board: Board) -> tuple[str, str, str, Text]:
    who = board.agents.get(job.agent_id or "", "")
    return str(job.number), job.title, who, Text(job.status, style=_STYLES[job.status])
