"""Where measured numbers become figures: repeated, compared with a rival, held against an aim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What one contestant measured, one value a run, in the figure's unit.

    Attributes:
        values: none when it did not get that far; then the remark says why.
        remark: what a reader must know beside the numbers, for example that jobs were lost.
    """

    who: str
    values: tuple[float, ...]
    remark: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether there is a value at all."""
        return bool(self.values)

    @property
    def median(self) -> float:
        """The middle value; NaN without any."""
        return median(self.values) if self.values else nan

    def to_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {
            "who": self.who,
            "median": self.median if self.values else None,
            "min": min(self.values, default=None),
            "max": max(self.values, default=None),
            "runs": list(self.values),
            **({"remark": self.remark} if self.remark else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a median should be: ``at_most`` for times and memory, ``at_least`` for rates."""

    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float) -> bool:
        """Say whether a value is within the aim."""
        low = self.at_least is None or value >= self.at_least
        high = self.at_most is None or value <= self.at_most
        return low and high

    def __str__(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:,g}"
        return f"≥ {self.at_least:,g}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the results.

    Attributes:
        name: the measure and, after a dot, what of it.
        what: what was measured, for a reader who has not seen the code.
        rivals: what others measured in the same run.
        notes: further numbers that explain this one, by a name that ends in its unit.
    """

    name: str
    what: str
    unit: str
    ours: Samples
    rivals: tuple[Samples, ...] = ()
    aim: Aim | None = None
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def more_is_better(self) -> bool:
        """Whether this is a rate, and not a time or a size."""
        return self.unit.endswith("/s")

    @property
    def rival(self) -> Samples | None:
        """The best of the rivals that were measured; None without any."""
        best = max if self.more_is_better else min
        measured = (one for one in self.rivals if one.is_measured)
        return best(measured, key=lambda one: one.median, default=None)

    @property
    def ratio(self) -> float | None:
        """Our median divided by the best rival's; None without a rival, or with one at zero."""
        return None if self.rival is None else self.ratio_to(self.rival)

    def ratio_to(self, other: Samples) -> float | None:
        """Return our median divided by another's; None where that is zero or was not measured."""
        return self.ours.median / other.median if other.is_measured and other.median else None

    @property
    def meets_aim(self) -> bool | None:
        """Whether the median is within the aim; None without one."""
        return None if self.aim is None else self.aim.is_met(self.ours.median)

    def to_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours.to_json(),
            "rivals": [one.to_json() for one in self.rivals],
            "ratio": self.ratio,
            "aim": str(self.aim) if self.aim is not None else None,
            "meetsAim": self.meets_aim,
            "notes": dict(self.notes),
        }


def oblivion(values: list[float]) -> Samples:
    """Return our own samples."""
    return Samples(who="Oblivion", values=tuple(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
