"""An MCP server that misbehaves, written by hand so that nothing keeps it from doing so.

Run as ``python mcp_rogue.py``; each of its tools breaks something else.
"""

import json
import os
import sys
import time
from typing import Any

out = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115


class Asked:
    """One request, and the ways to answer it."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.method = message["method"]
        self.params = message.get("params", {})
        self.number = message.get("id")

    def answer(self, result: Any) -> None:
        _write(jsonrpc="2.0", id=self.number, result=result)

    def say(self, text: str) -> None:
        self.answer({"content": [{"type": "text", "text": text}]})


def _write(**message: Any) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def endless(_: Asked) -> None:
    """Write a line that never ends."""
    while True:
        out.write("x" * 65536)


def notices(_: Asked) -> None:
    """Write what nobody asked for, for ever."""
    notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
    while True:
        out.write(f"{notice}\n" * 1000)


def requests(_: Asked) -> None:
    """Ask and ask, and never read what is answered."""
    ask = json.dumps({"jsonrpc": "2.0", "id": "a", "method": "roots/list"})
    while True:
        out.write(f"{ask}\n" * 1000)


def large(asked: Asked) -> None:
    """Answer with ten megabytes."""
    asked.say("x" * 10_000_000)


def large_and_last(asked: Asked) -> None:
    """The same by a server that writes the id behind the result."""
    result = {"content": [{"type": "text", "text": "x" * 10_000_000}]}
    _write(result=result, jsonrpc="2.0", id=asked.number)


def garbage(asked: Asked) -> None:
    """Write what is no message, then answer well."""
    print("my token is", os.environ.get("TOKEN"), file=sys.stderr, flush=True)
    out.write("Traceback: \udcff\x00 {[ sesame\n\n\n{}\n[]\nnull\n")
    _write(jsonrpc="2.0", id=99999, result={"sesame": True})
    asked.say("well")


def wrong(asked: Asked) -> None:
    """Answer what is no result of a tool, with a secret in it."""
    asked.answer({"content": "sesame-open-please"})


def die(_: Asked) -> None:
    """End in the middle."""
    sys.exit(3)


def hang(_: Asked) -> None:
    """Do nothing, and read nothing, any more."""
    time.sleep(3600)


def fine(asked: Asked) -> None:
    """Behave."""
    asked.say("fine")


def about(asked: Asked) -> None:
    """Say what came with the call."""
    asked.say(json.dumps(asked.params.get("_meta", {})))


ODD = (endless, notices, requests, large, large_and_last, garbage, wrong, die, hang)
TOOLS = {act.__name__: act for act in (*ODD, fine, about)}


def handle(asked: Asked) -> None:
    if asked.method == "initialize":
        asked.answer(
            {
                "protocolVersion": asked.params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "rogue", "version": "1"},
            }
        )
    elif asked.method == "tools/list":
        asked.answer(
            {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
        )
    elif asked.method == "tools/call":
        TOOLS[asked.params["name"]](asked)
    elif asked.number is not None:
        error = {"code": -32601, "message": "no such method"}
        _write(jsonrpc="2.0", id=asked.number, error=error)


if __name__ == "__main__":
    for line in sys.stdin:
        handle(Asked(json.loads(line)))
