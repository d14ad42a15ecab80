"""Where the command ``oblivion`` begins: it runs agents, and starts projects for new ones."""

import argparse
import sys
from collections.abc import Sequence

from oblivion._cli import _new, _run
from oblivion._cli._errors import CliError, ExitCode

__all__ = ["main", "parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: ExitCode = options.command(options)
    except CliError as error:
        print(f"oblivion: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = argparse.ArgumentParser(prog="oblivion", description="Write and run agents.")
    root.add_argument("--version", action="version", version=f"oblivion-sdk {_version()}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _run.add_to(commands)
    _new.add_to(commands)
    return root


def _version() -> str:
    from importlib import metadata

    return metadata.version("oblivion-sdk")
