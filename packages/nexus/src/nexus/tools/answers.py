"""Where it is judged which messages of an MCP server are heard: the answers that it owes. Pure.

A server may write whatever it likes. What nobody asked for costs next to nothing and is bounded;
an answer that is too large is told to who waits for it, as an error.
"""

import re

from mcp.types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    RequestId,
    jsonrpc_message_adapter,
)

from nexus.tools.lines import LONGEST, TooLong

TOO_LARGE = f"the MCP server's answer is larger than {LONGEST} bytes"

_MOST_UNASKED = 64 * 1024 * 1024
"""How many bytes a server may write between two answers."""

_COST_OF_LINE = 1024
"""What each line counts for beside its bytes, for the time that it takes."""

_COST_OF_REQUEST = 64 * 1024
"""What a request of the server counts for besides: it takes an answer of ours."""

_ID = rb'"id"\s*:\s*(\d{1,18})'
_AT_HEAD = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*' + _ID + rb"\s*,")
_AT_TAIL = re.compile(_ID + rb"\s*\}\s*$")


class Flooded(Exception):
    """A server writes and writes, and answers nothing."""


class Answers:
    """Knows what a server was asked, and so what it may answer."""

    def __init__(self) -> None:
        self._owed: set[RequestId] = set()
        self._unasked = 0

    def asked(self, message: JSONRPCMessage) -> None:
        """Note what is sent to the server."""
        if isinstance(message, JSONRPCRequest):
            self._owed.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method.endswith("/cancelled"):
            self._owed.discard((message.params or {}).get("requestId", ""))

    def heard(self, line: bytes | TooLong) -> JSONRPCMessage | None:
        """Return what is to be heard of a line; None where it is nothing.

        Raises:
            Flooded: the server has written too much that nobody asked for.
        """
        self.spend(_COST_OF_LINE)
        message = self._too_long(line) if isinstance(line, TooLong) else _message(line)
        if isinstance(message, JSONRPCRequest):
            self.spend(_COST_OF_REQUEST)
            return message
        if message is None or isinstance(message, JSONRPCNotification):
            return None
        if message.id not in self._owed:
            return None
        self._owed.discard(message.id)
        self._unasked = 0
        return message

    def spend(self, size: int) -> None:
        """Count what the server has written, in bytes.

        Raises:
            Flooded: it is too much.
        """
        self._unasked += size
        if self._unasked > _MOST_UNASKED:
            raise Flooded("it writes without end, and answers nothing")

    def _too_long(self, line: TooLong) -> JSONRPCError | None:
        found = _AT_HEAD.match(line.head) or _AT_TAIL.search(line.tail)
        if found is None:
            return None
        error = ErrorData(code=INTERNAL_ERROR, message=TOO_LARGE)
        return JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error)


def _message(line: bytes) -> JSONRPCMessage | None:
    try:
        return jsonrpc_message_adapter.validate_json(line.decode(errors="replace"), by_name=False)
    except ValueError:  # a greeting, say
        return None
