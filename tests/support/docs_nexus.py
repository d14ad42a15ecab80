"""Where the command ``nexus`` of the pages is quick: forked from a process that has it loaded.

A page has dozens of commands, and most of the time of each would go into loading the same code.
What is run is the command line itself, with the terminal's own arguments, folder, environment and
streams. Commands that stay until Ctrl-C are started as they are.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_SHIM = """#!{python} -IS
import json, os, socket, sys
arguments = sys.argv[1:]
if arguments[:1] == ["serve"] or arguments[:1] == ["tail"] and "--no-follow" not in arguments:
    os.execv({python!r}, [{python!r}, "-m", "nexus.cli", *arguments])
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    call = [arguments, os.getcwd(), dict(os.environ)]
    socket.send_fds(line, [json.dumps(call).encode()], [0, 1, 2])
    line.shutdown(socket.SHUT_WR)
    sys.exit((line.recv(1) or b"\\xff")[0])
"""


@contextlib.contextmanager
def nexus_command(folder: Path) -> Iterator[Path]:
    """Yield a folder for the ``PATH``, with the command in it, until the block ends."""
    address = folder / "nexus.socket"
    shim = folder / "bin" / "nexus"
    shim.parent.mkdir()
    shim.write_text(_SHIM.format(python=sys.executable, address=str(address)))
    shim.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        command = [sys.executable, __file__, str(listener.fileno())]
        with subprocess.Popen(command, pass_fds=[listener.fileno()]) as forker:
            try:
                yield shim.parent
            finally:
                forker.terminate()


def _fork_for_ever(listener: socket.socket) -> None:
    import nexus.cli.checks
    import nexus.cli.client
    import nexus.cli.importing
    import nexus.cli.root
    import nexus.store  # noqa: F401 - loaded once, for all that are forked

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        line, _ = listener.accept()
        if os.fork() == 0:
            _answer(line)
        line.close()


def _answer(line: socket.socket) -> None:
    from nexus.cli.root import run

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
    arguments, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - they live as long as the process
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["nexus", *arguments]
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    line.send(bytes([code]))
    os._exit(0)


if __name__ == "__main__":
    _fork_for_ever(socket.socket(fileno=int(sys.argv[1])))
