"""Where the demo's last words are: what was done, and how to go on from here."""

import sys
from pathlib import Path

from nexus.demo.board import Board
from oblivion.protocol import TaskStatus


def totals(board: Board) -> str:
    """Return the whole in a sentence."""
    jobs = board.jobs.values()
    done = sum(job.status is TaskStatus.DONE for job in jobs)
    files = sum(len((job.result or {}).get("files", ())) for job in jobs)
    pace = done / board.seconds if board.seconds else 0.0
    return (
        f"{done} of {len(jobs)} tasks DONE in {board.seconds:.1f} s ({pace:.1f} a second, "
        f"waiting for answers included): {sum(job.findings for job in jobs)} findings in "
        f"{files} files, {sum(job.questions for job in jobs)} questions answered."
    )


def how_to_go_on() -> str:
    """Return commands to copy."""
    nexus = _command("nexus")
    return f"""
How to go on:
  {nexus} demo --keep    the same, left running for you to play with
  {nexus} serve          a Nexus of your own, at http://localhost:3000
  {nexus} --help         everything else
An agent of your own: docs/quickstart.md. More agents: packages/sdk-python/examples/README.md
"""


def how_to_play(url: str, data_dir: Path, project: str) -> str:
    """Return what can be done with a demo that was left running."""
    nexus = _command("nexus")
    return f"""Nexus and its agents go on until Ctrl-C. In another terminal:
  export NEXUS_URL={url} NEXUS_DATA_DIR={data_dir}
  {nexus} tasks create 'Review packages/nexus/src/nexus/app.py' --project {project}
  {nexus} tasks list
  {nexus} tasks say TASK 'yes'
  {nexus} tail
The admin's credentials are in {data_dir / "admin-credentials.json"}, the API in {url}/api
"""


def _command(name: str) -> str:
    """Return how to call a command of this environment from the current folder."""
    script = Path(sys.executable).parent / name
    if script.is_file() and script.is_relative_to(Path.cwd()):
        return script.relative_to(Path.cwd()).as_posix()
    return name
