"""Where the command `nexus` begins and ends: its tree of commands, and what its errors become."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from nexus import __version__
from nexus.cli import (
    admin,
    agents,
    approvals,
    audit,
    clients,
    custody,
    deliveries,
    demo,
    doctor,
    groups,
    joining,
    keys,
    migrate,
    projects,
    secrets,
    serve,
    slack,
    stats,
    tail,
    tasks,
    tenants,
    tokens,
    tools,
)
from nexus.cli.errors import CliError, ExitCode
from nexus.cli.output import note

DEBUG_VARIABLE = "NEXUS_DEBUG"

app = typer.Typer(
    name="nexus",
    help="Nexus, the server of Oblivion, and its command line.",
    epilog="A local Nexus: nexus serve. What to check when something is wrong: nexus doctor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(serve.serve, demo.demo, migrate.migrate),
    *(doctor.doctor, stats.stats, tail.tail),
):
    app.command()(command)
joining.add_to(agents.app)
app.command("stop-all", epilog="Example: nexus stop-all --reason 'Something is wrong'")(
    custody.stop_all
)
app.command("resume-all")(custody.resume_all)
custody.add_to(agents.app)
_GROUPS = (
    *(agents, groups, projects, tasks),
    *(tools, approvals, secrets),
    *(tokens, clients, tenants, audit, keys, admin, deliveries, slack),
)
for group in _GROUPS:
    app.add_typer(group.app, name=group.__name__.rpartition(".")[2])


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"nexus {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show stack traces; also: NEXUS_DEBUG=1.")
    ] = False,
) -> None:
    """Nexus, the server of Oblivion, and its command line."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is one line on standard error."""
    _tolerate_any_character()
    try:
        code = typer.main.get_command(app).main(arguments, "nexus", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.OK
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:  # noqa: BLE001  # the edge: nothing may reach the user as a trace
        return _explain(error)


def _explain(error: Exception) -> int:
    if os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}:
        traceback.print_exception(error)
    if isinstance(error, CliError):
        _complain(error.message)
        return error.exit_code
    usage = _usage_error(error)
    if usage is not None:
        if usage:
            _complain(usage)
        return ExitCode.BAD_USAGE
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _complain(f"internal error, {what} ({DEBUG_VARIABLE}=1 shows where; please report it)")
    return ExitCode.INTERNAL


def _usage_error(error: Any) -> str | None:
    """Return what typer has to say about the arguments; None if the error is none of typer's."""
    if not hasattr(error, "format_message"):
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    context = getattr(error, "ctx", None)
    where = f" (see `{context.command_path} --help`)" if context is not None else ""
    return f"{str(error.format_message()).rstrip('.')}{where}"


def _complain(message: str) -> None:
    note(f"nexus: {' '.join(message.split())}")


def _tolerate_any_character() -> None:
    """Let a terminal that cannot show a character show a stand-in instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _reader_left() -> int:
    """End quietly when the reader of a pipe has gone, as in ``nexus tasks list | head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
