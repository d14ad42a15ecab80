"""An MCP server of the tests' own, made with the official SDK: it does whatever a test needs done.

Run as ``python mcp_program.py JOURNAL [http PORT]``. What has an effect is noted in the journal.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.types import ImageContent

journal = Path(sys.argv[1])
server = MCPServer("tests")


def _note(text: str) -> None:
    with journal.open("a") as kept:
        kept.write(text + "\n")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def effect(name: str) -> str:
    """Have an effect that can be counted."""
    _note(name)
    return name


@server.tool()
async def hang(name: str = "hang") -> str:
    """Never answer."""
    _note(name)
    await asyncio.Event().wait()
    return name


@server.tool()
def die(name: str) -> str:
    """End the process in the middle of the call."""
    _note(name)
    os._exit(1)


@server.tool()
def fail() -> str:
    """Fail with a secret in the message."""
    raise ValueError(f"the token {os.environ.get('TESTS_TOKEN', '')} was refused")


@server.tool()
def tell_all() -> str:
    """Return a secret."""
    print("a complaint", file=sys.stderr)
    return f"my token is {os.environ.get('TESTS_TOKEN', 'absent')}"


@server.tool()
def environment() -> list[str]:
    """Return the names of the variables that the server was given."""
    return sorted(os.environ)


@server.tool()
def flood(size: int) -> str:
    """Return so much text."""
    return "x" * size


@server.tool()
def picture() -> Any:
    """Return what is no text."""
    return ImageContent(type="image", data="AAAA", mime_type="image/png")


@server.tool()
def process() -> int:
    """Return the process id."""
    return os.getpid()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        server.run("streamable-http", port=int(sys.argv[3]))
    else:
        server.run("stdio")
