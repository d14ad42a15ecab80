"""Where calls of tools are counted, by tool, action and what became of them."""

from prometheus_client import REGISTRY, Counter, Histogram

from nexus.store.tx import Row
from oblivion.protocol import ToolCode

_calls = Counter(
    "nexus_tool_calls",
    "Calls of tools that have ended",
    ["tool", "action", "outcome"],
    registry=REGISTRY,
)
_seconds = Histogram(
    "nexus_tool_call_seconds",
    "From a call's beginning to its end",
    ["tool", "action"],
    registry=REGISTRY,
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300),
)


def count(call: Row) -> None:
    """Count a call that has ended; callers cannot make up series, for names count once known."""
    is_known = call["rule"] is not None
    tool, action = (call["tool"], call["action"]) if is_known else ("unknown", "unknown")
    outcome = "done" if call["code"] is None else str(ToolCode(call["code"]))
    _calls.labels(tool, action, outcome).inc()
    if call["started_at"] is not None:
        _seconds.labels(tool, action).observe((call["finished_at"] - call["started_at"]) / 1000)
