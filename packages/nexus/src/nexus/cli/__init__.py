"""The command line of Nexus: a server to start, and a client of its API."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command ``nexus``; a Ctrl-C while it still loads ends it as quietly as one later."""
    try:
        from nexus.cli.root import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
