"""Where projects for new agents begin: ``oblivion new my-agent``."""

import argparse
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from oblivion._cli._errors import CliError, ExitCode

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = {*sys.stdlib_module_names, "oblivion", "oblivion_pytest", "pytest"}


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    one = commands.add_parser(
        "new",
        help="start a project for a new agent",
        description="Write a small project with an agent and its tests into a folder of its name.",
    )
    one.add_argument("name", metavar="NAME", help="such as my-agent: the folder and the client id")
    one.set_defaults(command=make_project)


def make_project(options: argparse.Namespace) -> ExitCode:
    """Write a project.

    Raises:
        CliError: the name does not do, or the folder is there already or cannot be written.
    """
    name = _checked(options.name)
    module = name.replace("-", "_")
    target = Path(name)
    if target.exists() or target.is_symlink():
        raise CliError(f"{name} is there already: choose another name, or remove it")
    try:
        _write(target, name, module)
    except OSError as error:
        raise CliError(f"cannot write {error.filename}: {error.strerror}") from None
    print(f"{name} is there. Next:\n\n    cd {name}\n    uv run pytest\n")
    print(f"README.md says how it meets your Nexus, {module}.py is where its work goes.")
    return ExitCode.OK


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise CliError(
            f"{name!r} does not do: take small letters, digits and single hyphens, beginning with "
            "a letter, such as my-agent"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in _TAKEN:
        raise CliError(f"{name} would hide Python's own {module}: take another, such as my-{name}")
    return name


def _write(target: Path, name: str, module: str) -> None:
    """Write all or nothing."""
    draft = Path(tempfile.mkdtemp(prefix=".oblivion-new-", dir="."))
    try:
        for path, text in _files():
            words = Template(text).substitute(name=name, module=module)
            (draft / path.replace("module", module)).write_text(words, encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files() -> Iterator[tuple[str, str]]:
    """Yield the files of the project that new ones are made of."""
    for file in sorted(resources.files("oblivion._cli").joinpath("project").iterdir(), key=str):
        yield file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")
