"""An agent that reviews Python files: ruff finds, the thread is told, a person decides.

A task names its files in ``metadata`` (``{"files": ["a.py"], "rules": ["EM", "S"]}``) or simply in
its title or description; without any, the agent asks. ``rules`` are ruff's, in place of those that
the project configured. Where findings can be fixed automatically, the agent asks whether to show
how. It never changes a file. ::

    pip install "oblivion-sdk[examples]"
    export OBLIVION_NEXUS_URL=... OBLIVION_CLIENT_ID=... OBLIVION_CLIENT_SECRET=...
    export CODE_REVIEW_ROOT=path/to/the/project    # default: the current folder
    python code_reviewer.py
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # it ships no types

from oblivion import HumanTimeout, OblivionClient, OblivionError, TaskAssignedPayload

ANALYSIS_TIMEOUT = 60.0  # seconds; after that the attempt fails
ANSWER_TIMEOUT = 3600.0  # seconds that a person may take
# Messages are for people: keep them short.
MAX_RULES, MAX_REMARKS, MAX_LINE_NUMBERS, MAX_DIFF_LINES = 8, 12, 8, 60

_A_FILE = re.compile(r"[\w./\\~-]+\.pyi?\b")
_A_RULE = re.compile(r"[A-Z]+[0-9]*")


class CannotReview(Exception):
    """The task asks for something that this agent does not do; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that ruff found."""

    path: str
    line: int
    rule: str
    message: str
    fixable: bool


# --- what the task asks for -----------------------------------------------------------------------


def named_files(task: TaskAssignedPayload) -> list[str]:
    """Return the files a task names: in its metadata, or else in its words."""
    files = task.metadata.get("files")
    if files is None:
        return files_in(f"{task.title}\n{task.description}")
    return strings("files", files)


def files_in(text: str) -> list[str]:
    """Return the Python files named in a text, each once."""
    return list(dict.fromkeys(_A_FILE.findall(text)))


def wanted_rules(task: TaskAssignedPayload) -> list[str]:
    """Return the rules that the task selects; none means those of the project."""
    rules = strings("rules", task.metadata.get("rules", []))
    for rule in rules:
        if not _A_RULE.fullmatch(rule):
            raise CannotReview(
                f"{rule!r} is no rule of ruff; they look like F401, or EM for a family"
            )
    return rules


def strings(name: str, value: object) -> list[str]:
    """Return a list of strings from a task's metadata, which anybody may have written."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CannotReview(f'metadata.{name} must be a list of strings, such as ["a.py"]')
    return value


def inside(root: Path, name: str) -> str:
    """Return ``name`` relative to ``root``; whatever lies elsewhere, links included, is refused."""
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise CannotReview(
            f"{name} lies outside of {root}; this agent reviews only what is in there"
        )
    if path.suffix not in {".py", ".pyi"} or not path.is_file():
        raise CannotReview(f"there is no Python file {name} in {root}")
    return path.relative_to(root).as_posix()


# --- what ruff says -------------------------------------------------------------------------------


async def analyse(root: Path, paths: Sequence[str], rules: Sequence[str]) -> list[Finding]:
    """Return what ruff finds in the files."""
    found = json.loads(await run_ruff(root, paths, rules, "--output-format=json"))
    return [
        Finding(
            path=Path(item["filename"]).relative_to(root).as_posix(),
            line=item["location"]["row"],
            rule=item["code"] or "syntax",
            message=item["message"],
            fixable=(item["fix"] or {}).get("applicability") in {"safe", "unsafe"},
        )
        for item in found
    ]


async def run_ruff(root: Path, paths: Sequence[str], rules: Sequence[str], *options: str) -> str:
    """Run ``ruff check``, which neither fixes nor caches anything here, and return its output."""
    select = [f"--select={','.join(rules)}"] if rules else []
    ruff = await asyncio.create_subprocess_exec(
        *(find_ruff_bin(), "check", "--no-cache", "--no-fix", "--quiet", *options, *select),
        *("--", *paths),
        cwd=root,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ANALYSIS_TIMEOUT):
            output, complaint = await ruff.communicate()
    except TimeoutError:
        raise CannotReview(f"ruff took more than {ANALYSIS_TIMEOUT:g} s") from None
    finally:  # after that, or when the task was cancelled
        if ruff.returncode is None:
            ruff.kill()
            await ruff.wait()
    if ruff.returncode not in {0, 1}:  # 1: there are findings
        raise CannotReview(f"ruff could not run: {complaint.decode(errors='replace').strip()}")
    return output.decode()


# --- what people read -----------------------------------------------------------------------------


def report(path: str, findings: Sequence[Finding]) -> str:
    """Return the message about one file: how much was found, and where."""
    if not findings:
        return f"**{path}**: no findings ✅"
    counts = ", ".join(f"{n} {rule}" for rule, n in islice(by_rule(findings).items(), MAX_RULES))
    lines = [f"**{path}**: {plural(len(findings), 'finding')} ({counts})"]
    remarks = defaultdict(list)
    for finding in findings:
        remarks[f"{finding.message} ({finding.rule})"].append(finding.line)
    lines += [f"- {place(where)}: {what}" for what, where in islice(remarks.items(), MAX_REMARKS)]
    if len(remarks) > MAX_REMARKS:
        lines.append(f"- and {plural(len(remarks) - MAX_REMARKS, 'more remark')}")
    return "\n".join(lines)


def by_rule(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how often each rule was broken, the most frequent first."""
    return dict(Counter(finding.rule for finding in findings).most_common())


def place(lines: Sequence[int]) -> str:
    """Return ``line 7``, ``lines 7, 9``."""
    numbers = ", ".join(str(line) for line in lines[:MAX_LINE_NUMBERS])
    more = ", ..." if len(lines) > MAX_LINE_NUMBERS else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {numbers}{more}"


def plural(count: int, noun: str) -> str:
    """Return ``1 finding``, ``2 findings``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shorten(diff: str) -> str:
    """Return a diff as a code block of bounded length."""
    lines = diff.rstrip().splitlines()
    rest = len(lines) - MAX_DIFF_LINES
    shown = [*lines[:MAX_DIFF_LINES], *([f"... {plural(rest, 'more line')}"] if rest > 0 else [])]
    return "\n".join(["```diff", *shown, "```"])


# --- the agent ------------------------------------------------------------------------------------


class Reviewer:
    """Reviews files below ``root``, and talks about it in the task's thread."""

    def __init__(self, client: OblivionClient, root: Path) -> None:
        self._client = client
        self._root = root

    async def review(self, task: TaskAssignedPayload) -> dict[str, Any]:
        """Review what a task names; what is returned becomes the task's result."""
        await self._client.update_status("working", task.task_id, "Reading the task...")
        rules = wanted_rules(task)
        paths = [inside(self._root, name) for name in await self._files(task)]
        findings: list[Finding] = []
        for number, path in enumerate(paths, start=1):
            found = await analyse(self._root, [path], rules)
            await self._client.post_message(task.task_id, report(path, found))
            await self._client.report_progress(task.task_id, number / len(paths), f"read {path}")
            findings += found
        await self._offer_fixes(task.task_id, findings, rules)
        await self._client.update_status("idle")
        return summary(paths, findings)

    async def _files(self, task: TaskAssignedPayload) -> list[str]:
        names = named_files(task) or files_in(
            await self._ask(task.task_id, "Which Python files shall I review?")
        )
        if not names:
            raise CannotReview("no Python files were named; say which, relative to the project")
        return names

    async def _offer_fixes(
        self, task_id: str, findings: Iterable[Finding], rules: Sequence[str]
    ) -> None:
        fixable = Counter(finding.path for finding in findings if finding.fixable)
        if not fixable:
            return
        question = (
            f"{plural(fixable.total(), 'finding')} in {', '.join(fixable)} can be fixed "
            "automatically. Shall I show the diff? (yes/no)"
        )
        if not says_yes(await self._ask(task_id, question, choices=["yes", "no"])):
            await self._client.post_message(task_id, "No diff, then.")
            return
        diff = await run_ruff(self._root, list(fixable), rules, "--diff", "--unsafe-fixes")
        await self._client.post_message(task_id, f"I changed nothing; I would:\n{shorten(diff)}")

    async def _ask(self, task_id: str, question: str, *, choices: Sequence[str] = ()) -> str:
        """Return what a person answers; nobody in time is an answer too, an empty one."""
        try:
            answer = await self._client.ask_human(
                task_id, question, timeout=ANSWER_TIMEOUT, choices=choices
            )
        except HumanTimeout:
            return ""
        return answer.content


def says_yes(answer: str) -> bool:
    """Return whether a person agreed; anything unclear is a no."""
    return bool(
        re.match(r"\W*(y|yes|yep|yeah|sure|ok|okay|please|go ahead)\b", answer, re.IGNORECASE)
    )


def summary(paths: Sequence[str], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the structured result of a review."""
    return {"files": list(paths), "findings": len(findings), "by_rule": by_rule(findings)}


def main() -> None:
    """Review until Ctrl-C."""
    root = Path(os.environ.get("CODE_REVIEW_ROOT", "."))
    if not root.is_dir():
        raise CannotReview(f"CODE_REVIEW_ROOT: there is no folder {root}")
    client = OblivionClient.from_env()
    client.on_task_assigned(Reviewer(client, root.resolve()).review)
    client.run()


if __name__ == "__main__":
    try:
        main()
    except (OblivionError, CannotReview) as error:
        sys.exit(f"code_reviewer: {error}")
