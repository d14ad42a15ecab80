"""The command as a whole: help, versions, wrong usage, and what no user may see."""

import importlib
import pkgutil
import re

import pytest
import typer

import nexus.cli
from command_line import CommandLine
from nexus import __version__
from nexus.cli import root
from nexus.cli.errors import ExitCode

COMMANDS = (
    *("serve", "migrate", "doctor", "tail"),
    *(f"agents {name}" for name in ("create", "list", "show", "wake")),
    *(f"groups {n}" for n in ("create", "list", "show", "members", "add", "remove", "archive")),
    *(f"projects {name}" for name in ("create", "list", "show", "stats", "archive")),
    *(f"tasks {n}" for n in ("create", "list", "show", "cancel", "retry", "say", "import")),
)


@pytest.fixture
def alone() -> CommandLine:
    """The command line, without any server."""
    return CommandLine(environment={"NEXUS_URL": "http://localhost:1"})


def test_the_version_is_that_of_the_package(alone: CommandLine) -> None:
    assert alone("--version").out == f"nexus {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(alone: CommandLine, command: str) -> None:
    shown = alone(*command.split(), "--help")
    assert shown.code == 0
    assert f"Usage: nexus {command} " in shown.out
    assert "\x1b" not in shown.out
    undocumented = re.findall(r"^│ \*?\s+(--[\w-]+)\s+<[^>]+>\s+│$", shown.out, re.MULTILINE)
    assert undocumented == []


def test_every_command_is_listed_by_its_parent(alone: CommandLine) -> None:
    for command in COMMANDS:
        *parent, name = command.split()
        assert re.search(rf"^│ {name} ", alone(*parent, "--help").out, re.MULTILINE), command


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("task",), "Did you mean 'tasks'"),
        (("tasks", "shwo"), "Did you mean 'show'?"),
        (("tasks", "show"), "Missing argument 'TASK'"),
        (("tasks", "list", "--colour"), "No such option: --colour"),
        (("tasks", "list", "--limit", "many"), "--limit"),
        (("tasks", "list", "extra"), "extra"),
        (("serve", "--port", "70000"), "--port"),
        (("serve", "--log-level", "loud"), "--log-level"),
        (("tail", "--since", "-1"), "--since"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    alone: CommandLine, arguments: tuple[str, ...], says: str
) -> None:
    ended = alone(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("nexus: ")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_a_command_without_arguments_shows_its_help(alone: CommandLine) -> None:
    for arguments in ((), ("tasks",)):
        ended = alone(*arguments)
        assert ended.code == 2
        assert "Usage: nexus" in ended.out
        assert ended.err == ""


def test_no_server_is_exit_code_3(alone: CommandLine) -> None:
    ended = alone("tasks", "list", "--client-secret", "any")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.count("\n") == 1


def test_no_credentials_are_exit_code_2_with_the_ways_to_give_them(alone: CommandLine) -> None:
    ended = alone("tasks", "list", "--data-dir", "/nowhere")
    assert ended.code == 2
    for way in ("--client-id", "NEXUS_ADMIN_CLIENT_SECRET", "--data-dir", "/nowhere"):
        assert way in ended.err


def test_wrong_credentials_are_exit_code_2(nexus: CommandLine) -> None:
    ended = nexus("tasks", "list", "--client-secret", "wrong-secret-hidden")
    assert ended.code == 2
    assert "refuses the credentials" in ended.err
    assert "wrong-secret-hidden" not in ended.err


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with a bug, ``nexus broken``."""
    app = typer.Typer()

    @app.callback()
    def options() -> None:
        """Do nothing."""

    @app.command("broken")
    def break_() -> None:
        raise KeyError("a\nbug")

    monkeypatch.setattr(root, "app", app)


@pytest.mark.usefixtures("broken")
def test_a_bug_is_one_line_and_exit_code_70(alone: CommandLine) -> None:
    ended = alone("broken")
    assert ended.code == ExitCode.INTERNAL
    assert ended.err.startswith("nexus: internal error, KeyError: ")
    assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("broken")
def test_a_bug_has_a_stack_trace_for_who_asks_for_it(alone: CommandLine) -> None:
    ended = alone("broken", NEXUS_DEBUG="1")
    assert ended.code == ExitCode.INTERNAL
    assert "Traceback" in ended.err


def test_help_does_not_wait_for_what_only_other_commands_need(alone: CommandLine) -> None:
    slow = ("httpx2", "sqlalchemy", "fastapi", "uvicorn", "pydantic_settings")
    program = f"import nexus.cli, sys; print([m for m in {slow} if m in sys.modules])"
    assert alone.python(program).out == "[]\n"


def test_every_module_of_the_command_line_can_be_imported_alone(alone: CommandLine) -> None:
    names = [found.name for found in pkgutil.walk_packages(nexus.cli.__path__, "nexus.cli.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    assert "nexus.cli.root" in names
