"""Where the sizes of a benchmark live: a quick one, and a full one for figures that are kept."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured; counts and seconds are for one run.

    Attributes:
        name: what the effort is called in the results.
        runs: how often each measurement is repeated; the median counts.
        import_runs: the same for interpreters that are started.
        warm_up_seconds: how long the same load runs before it counts.
        saturated_seconds: how long whole cycles are counted at saturation.
        paced_seconds: how long tasks come in at an even pace.
        requests: requests for a token.
        crowd: agents that are connected at once.
        idle_seconds: how long they idle while the server's computing is watched.
        warm_tasks: tasks before the first reading of memory.
        more_tasks: tasks between the two readings.
        sdk_events: events that are handed to an agent of the SDK.
        patience: seconds after which a job that a rival has not begun, or a rival that ends none
            although some are waiting, is waited for no longer.
    """

    name: str
    runs: int = 3
    import_runs: int = 7
    warm_up_seconds: float = 1.0
    saturated_seconds: float = 1.5
    paced_seconds: float = 2.0
    requests: int = 1_000
    crowd: int = 2_000
    idle_seconds: float = 10.0
    warm_tasks: int = 200
    more_tasks: int = 1_000
    sdk_events: int = 5_000
    patience: float = 20.0


QUICK = Effort(name="quick")
FULL = Effort(
    name="full",
    runs=5,
    import_runs=15,
    saturated_seconds=5.0,
    paced_seconds=6.0,
    requests=5_000,
    crowd=10_000,
    idle_seconds=30.0,
    sdk_events=20_000,
)
