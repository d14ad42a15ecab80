"""Where a run begins again with each change of the code, for development."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from oblivion._cli._errors import CliError, ExitCode

_PATIENCE_S = 5.0
"""What a process gets for its end beyond its drain timeout, before it is killed."""


def run_reloading(command: Sequence[str], drain_timeout: float) -> ExitCode:
    """Run a command, and end and start it with each change of a ``.py`` file below this folder.

    One that ends by itself is started with the next change. What it was working on and does not end
    within ``drain_timeout`` is handed back, so that the next one gets it again.

    Raises:
        CliError: the library that watches files is not installed.
    """
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        raise CliError('--reload needs watchfiles: install "oblivion-sdk[reload]"') from None

    patience = drain_timeout + _PATIENCE_S
    terminated: list[int] = []

    def on_sigterm(number: int, _frame: object) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_sigterm)
    process = _start(command)
    try:
        for changes in watch(".", watch_filter=PythonFilter()):
            print(f"oblivion: {_named(changes)} changed, starting again", file=sys.stderr)
            _end(process, patience)
            process = _start(command)
    except KeyboardInterrupt:
        if not terminated and sys.platform != "win32":
            # Ctrl-C reached the process as well, and a second signal would cut it off.
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    finally:
        _end(process, patience)
    return ExitCode.OK


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    if sys.platform == "win32":  # where Ctrl-Break reaches a whole group
        return subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP)
    return subprocess.Popen(command)


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _named(changes: Iterable[tuple[object, str]]) -> str:
    paths = sorted(path for _, path in changes)
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
