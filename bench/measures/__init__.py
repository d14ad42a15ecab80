"""Where the measures are listed: each by its name, with the function that takes it."""

from collections.abc import Awaitable, Callable, Mapping

from bench.effort import Effort
from bench.figures import Figure
from bench.measures import (
    claim,
    crowd,
    cycle,
    imports,
    memory,
    observer,
    rivals,
    sdk,
    slack,
    token,
    tools,
)

Measure = Callable[[Effort], Awaitable[list[Figure]]]

MEASURES: Mapping[str, Measure] = {
    "import": imports.measure,
    "cycle": cycle.measure,
    "rivals": rivals.measure,
    "claim": claim.measure,
    "token": token.measure,
    "slack": slack.measure,
    "tools": tools.measure,
    "crowd": crowd.measure,
    "observer": observer.measure,
    "memory": memory.measure,
    "sdk": sdk.measure,
}
"""In the order in which they run."""
