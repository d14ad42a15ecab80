"""Where it is said what a fake Nexus refuses, in the codes of the protocol."""

from typing import Any

from oblivion.protocol import CallError


class Refusal(Exception):
    """A call that is refused; the agent reads ``code``."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable

    def to_wire(self) -> dict[str, Any]:
        """Return what goes over the wire."""
        said = CallError(code=self.code, message=self.message, retryable=self.retryable)
        return said.to_wire()
