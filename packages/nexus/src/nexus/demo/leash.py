"""Where a program of the demo runs that must not outlive it, whatever happens to the demo.

``python leash.py PROGRAM [ARGUMENTS]``: PROGRAM is a file or a module. Standard input is a pipe
whose other end the demo holds; when the demo is gone, even killed, the pipe closes and the program
stops.
"""

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

_GRACE_S = 3.0


def main() -> None:
    """Run the program in this process, as if it had been started itself."""
    threading.Thread(target=_watch, daemon=True, name="leash").start()
    del sys.argv[0]
    program = sys.argv[0]
    if program.endswith(".py"):
        sys.path[0] = str(Path(program).parent)
        runpy.run_path(program, run_name="__main__")
    else:
        del sys.path[0]
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # with what it started itself; it leads its own group
    os._exit(1)


if __name__ == "__main__":
    main()
