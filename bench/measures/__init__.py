"""Where the measures are listed: each by its name, with the function that takes it."""

from collections.abc import Awaitable, Callable, Mapping

from bench.effort import Effort
from bench.figures import Figure
from bench.measures import claim, cycle, imports, memory, token

Measure = Callable[[Effort], Awaitable[list[Figure]]]

MEASURES: Mapping[str, Measure] = {
    "import": imports.measure,
    "cycle": cycle.measure,
    "claim": claim.measure,
    "memory": memory.measure,
    "token": token.measure,
}
"""In the order in which they run."""
