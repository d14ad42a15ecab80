"""Where agents are run: ``oblivion run module:client``."""

import argparse
import logging
import os
import signal
import sys
from contextlib import ExitStack
from typing import Any

from oblivion._cli._errors import ExitCode, ended_by
from oblivion._cli._load import load_clients
from oblivion._process import LOOPBACK, run
from oblivion.errors import OblivionError

_LEVELS = ("debug", "info", "warning", "error")
_RELOAD_DRAIN_S = 1.0
"""With ``--reload``, unless said: what was changed shall be seen soon."""

_LINE = "%(asctime)s %(levelname)-7s %(name)s %(message)s"


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    one = commands.add_parser(
        "run",
        help="run agents until a signal",
        description=(
            "Run the agents of all targets in this process. The first SIGTERM or Ctrl-C drains: "
            "no new work, running work finishes, the rest is handed back. The second quits."
        ),
    )
    one.add_argument(
        "targets",
        nargs="+",
        metavar="MODULE:CLIENT",
        help="an OblivionClient, a list of them, or a function that makes them",
    )
    one.add_argument("--reload", action="store_true", help="start again when a .py file changes")
    one.add_argument(
        "--drain-timeout",
        type=float,
        metavar="SECONDS",
        help="what running work gets at the end, instead of the clients' own",
    )
    one.add_argument(
        "--livez-port",
        type=int,
        default=os.environ.get("OBLIVION_LIVEZ_PORT") or None,
        metavar="PORT",
        help="answer GET /livez and /readyz there (OBLIVION_LIVEZ_PORT)",
    )
    one.add_argument(
        "--livez-host",
        default=os.environ.get("OBLIVION_LIVEZ_HOST") or LOOPBACK,
        metavar="HOST",
        help="on this address (OBLIVION_LIVEZ_HOST, 127.0.0.1)",
    )
    one.add_argument(
        "--log-level",
        choices=_LEVELS,
        default="info",
        help="for logs that the agent's own code does not configure (info)",
    )
    one.set_defaults(command=run_agents)


def run_agents(options: argparse.Namespace) -> ExitCode:
    """Run until a signal.

    Raises:
        CliError: the agents cannot be found, or cannot go on.
    """
    if options.reload:
        from oblivion._cli._reload import run_reloading

        drain = _RELOAD_DRAIN_S if options.drain_timeout is None else options.drain_timeout
        return run_reloading(_again(options, drain), drain)
    _end_while_loading()
    try:
        clients = load_clients(options.targets)
        _log_to_stderr(options.log_level)
        with ExitStack() as stack:
            if options.drain_timeout is not None:
                for client in clients:
                    stack.enter_context(client.override(drain_timeout=options.drain_timeout))
            run(*clients, livez_port=options.livez_port, livez_host=options.livez_host)
    except OblivionError as error:
        raise ended_by(error) from None
    return ExitCode.OK


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format=_LINE, stream=sys.stderr)
    requests = logging.getLogger("httpx2")  # tells each request at INFO
    if level == "info" and requests.level == logging.NOTSET:
        requests.setLevel(logging.WARNING)


def _again(options: argparse.Namespace, drain: float) -> list[str]:
    """Return the command line of the process that is started anew with each change."""
    arguments = ["--drain-timeout", f"{drain:g}", "--log-level", options.log_level]
    if options.livez_port is not None:
        arguments += ["--livez-port", str(options.livez_port), "--livez-host", options.livez_host]
    return [sys.executable, "-m", "oblivion", "run", *options.targets, *arguments]


def _end_while_loading() -> None:
    """Let SIGTERM end the process before there is something to drain.

    The first process of a container would not even notice it.
    """

    def end(_number: int, _frame: object) -> None:
        sys.exit(ExitCode.OK)

    signal.signal(signal.SIGTERM, end)
