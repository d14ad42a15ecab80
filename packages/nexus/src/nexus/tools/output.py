"""Where it is judged whether what a tool returned may be handed on. Pure."""

from typing import Any

import orjson

from nexus.domain.errors import Invalid
from nexus.domain.json_values import is_too_deep, refuse_nul
from nexus.domain.redaction import KnownSecrets
from nexus.domain.tool_calls import Outcome
from oblivion.protocol import ToolCode

_LONGEST_ERROR = 2_000


class Inspection:
    """Looks at what tools return; secrets that Nexus holds for them are taken out of it."""

    def __init__(self, secrets: KnownSecrets | None = None) -> None:
        self._secrets = secrets or KnownSecrets()

    def __call__(self, data: Any, most_bytes: int) -> Outcome:
        """Return what the agent is told of a result."""
        if _holds_bytes(data):
            return _refused("the tool returned binary data, which agents are not sent")
        if is_too_deep(data):
            return _refused("the tool returned something that is nested too deep")
        try:
            refuse_nul(data)
            size = len(orjson.dumps(data))
        except (Invalid, TypeError) as problem:
            return _refused(f"the tool returned what is no JSON text: {_short(str(problem))}")
        if size > most_bytes:
            error = f"the result is {size} bytes of JSON; at most {most_bytes} are taken"
            return Outcome(error=error, code=ToolCode.RESULT_TOO_LARGE)
        return Outcome(data=self._cleaned(data))

    def failure(self, message: str, code: ToolCode = ToolCode.TOOL_FAILED) -> Outcome:
        """Return what the agent is told of a failure."""
        return Outcome(error=_short(self._secrets.hide(message.replace("\x00", ""))), code=code)

    def _cleaned(self, data: Any) -> Any:
        if isinstance(data, str):
            return self._secrets.hide(data)
        if isinstance(data, dict):
            return {self._secrets.hide(name): self._cleaned(inner) for name, inner in data.items()}
        return [self._cleaned(inner) for inner in data] if isinstance(data, list) else data


def _refused(error: str) -> Outcome:
    return Outcome(error=error, code=ToolCode.RESULT_REFUSED)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}..."


def _holds_bytes(data: Any) -> bool:
    return isinstance(data, bytes | bytearray | memoryview)
