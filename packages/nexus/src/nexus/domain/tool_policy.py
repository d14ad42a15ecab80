"""Where it is decided who may have a tool do what: pure, rules and a wish in, a verdict out.

Nothing is allowed unless a rule says so. A rule that denies wins over all others, wherever it
stands; of the others, the first that fits decides, with its limits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from nexus.domain.strict import Strict
from oblivion.protocol import ToolCode

_MAX_RESULT_BYTES = 192 * 1024
"""What fits into a frame whatever its characters are."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A name in which ``*`` stands for anything."""


class Effect(StrEnum):
    """What a rule says of the calls that it fits."""

    ALLOW = "allow"
    DENY = "deny"


class Bounds(Strict):
    """What a number may be."""

    min: float | None = None
    max: float | None = None


Constraint = Bounds | bool | int | float | Pattern | list[bool | int | float | Pattern]
"""What a parameter may be: a pattern for its text, the value itself, one of several, or bounds."""


class Rule(Strict):
    """Who may have which tools do what, and within which limits.

    Attributes:
        name: what people call it.
        effect: whether what fits is allowed or denied.
        tools: patterns of ``tool.action``, such as ``github.*``.
        groups: slugs or ids; without any it is every group.
        agents: client ids or ids; without any it is every agent.
        params: what parameters may be, by name; ``a.b`` is ``b`` within ``a``. Each must be there.
        requires_approval: whether a person looks at each call first.
        approval_seconds: for how long a call waits for that.
        per_minute: how many calls an agent may make under this rule in a minute.
        at_once: how many of an agent's calls may be at work under this rule.
        timeout_seconds: how long the tool may take; a call may ask for less.
        max_param_bytes: how large the parameters may be, as JSON.
        max_result_bytes: how large the result may be, as JSON.
    """

    name: str = Field(default="", max_length=100)
    effect: Effect = Effect.ALLOW
    tools: list[Pattern] = Field(min_length=1, max_length=100)
    groups: list[Pattern] = Field(default_factory=list, max_length=100)
    agents: list[Pattern] = Field(default_factory=list, max_length=100)
    params: dict[Pattern, Constraint] = Field(default_factory=dict, max_length=50)
    requires_approval: bool = False
    approval_seconds: int = Field(default=3600, ge=1, le=30 * 24 * 3600)
    per_minute: int | None = Field(default=None, ge=1, le=100_000)
    at_once: int = Field(default=10, ge=1, le=1000)
    timeout_seconds: float = Field(default=60, gt=0, le=3600)
    max_param_bytes: int = Field(default=64 * 1024, ge=2, le=_MAX_RESULT_BYTES)
    max_result_bytes: int = Field(default=64 * 1024, ge=2, le=_MAX_RESULT_BYTES)


@dataclass(frozen=True, kw_only=True)
class KnownRule:
    """A rule with the id under which it is counted and told of."""

    id: str
    rule: Rule

    @property
    def label(self) -> str:
        """What people are told of it."""
        return self.rule.name or self.id


@dataclass(frozen=True, kw_only=True)
class Asker:
    """The agent that asks: its ids, and those and the slugs of its groups."""

    names: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for; ``size`` is that of the parameters as JSON, in bytes."""

    tool: str
    action: str
    params: Mapping[str, Any]
    size: int

    @property
    def name(self) -> str:
        """The name that patterns are held against."""
        return f"{self.tool}.{self.action}"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an agent did under a rule: calls in the last minute, and those at work now."""

    in_last_minute: int = 0
    at_work: int = 0


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a call is not made."""

    code: ToolCode
    error: str


def judge(rules: Sequence[KnownRule], asker: Asker, wish: Wish) -> KnownRule | Refusal:
    """Return the rule under which the call may be made, or why it may not."""
    concerned = [known for known in rules if _concerns(known.rule, asker, wish.name)]
    misfits = {known.id: _misfit(known.rule, wish.params) for known in concerned}
    fitting = [known for known in concerned if misfits[known.id] is None]
    for known in fitting:
        if known.rule.effect is Effect.DENY:
            return _not_allowed(f"{wish.name} is denied by the rule {known.label!r}")
    if fitting:
        return _unless_oversize(fitting[0], wish)
    near = [misfits[known.id] or "" for known in concerned if known.rule.effect is Effect.ALLOW]
    if near:
        return _not_allowed(f"{wish.name} is not allowed with these params: {'; or '.join(near)}")
    return _not_allowed(f"no rule allows this agent {wish.name}; an admin can allow it")


def usable(rules: Sequence[KnownRule], asker: Asker, tool: str, action: str) -> KnownRule | None:
    """Return the first rule under which some call of the action may be made, if there is one."""
    concerned = [known for known in rules if _concerns(known.rule, asker, f"{tool}.{action}")]
    if any(k.rule.effect is Effect.DENY and not k.rule.params for k in concerned):
        return None
    return next((known for known in concerned if known.rule.effect is Effect.ALLOW), None)


def within_limits(known: KnownRule, usage: Usage) -> Refusal | None:
    """Return why the rule's limits leave no room for another call just now; None if they do."""
    rule = known.rule
    if rule.per_minute is not None and usage.in_last_minute >= rule.per_minute:
        error = f"the rule {known.label!r} allows {rule.per_minute} calls a minute; try later"
        return Refusal(code=ToolCode.RATE_LIMITED, error=error)
    if usage.at_work >= rule.at_once:
        error = f"the rule {known.label!r} allows {rule.at_once} calls at once; wait for one to end"
        return Refusal(code=ToolCode.RATE_LIMITED, error=error)
    return None


def _not_allowed(error: str) -> Refusal:
    return Refusal(code=ToolCode.NOT_ALLOWED, error=error)


def _unless_oversize(known: KnownRule, wish: Wish) -> KnownRule | Refusal:
    most = known.rule.max_param_bytes
    if wish.size <= most:
        return known
    error = f"the params are {wish.size} bytes of JSON; the rule {known.label!r} takes {most}"
    return Refusal(code=ToolCode.INVALID_PARAMS, error=error)


def _concerns(rule: Rule, asker: Asker, name: str) -> bool:
    return (
        _any_matches(rule.tools, {name})
        and (not rule.groups or _any_matches(rule.groups, asker.groups))
        and (not rule.agents or _any_matches(rule.agents, asker.names))
    )


def _any_matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


_ABSENT = object()


def _misfit(rule: Rule, params: Mapping[str, Any]) -> str | None:
    """Say which parameter the rule does not fit, without its value; None when it fits.

    To be allowed, every item of a list must fit; to be denied, one is enough.
    """
    enough = any if rule.effect is Effect.DENY else all
    for name, constraint in rule.params.items():
        value = _at(params, name)
        if value is _ABSENT:
            return f"{name} must be given"
        items = value if isinstance(value, list) else [value]
        if not items or not enough(_fits(constraint, item) for item in items):
            return f"{name} must be {_said(constraint)}"
    return None


def _at(params: Mapping[str, Any], path: str) -> Any:
    value: Any = params
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _fits(constraint: Any, value: Any) -> bool:
    if isinstance(constraint, list):
        return any(_fits(one, value) for one in constraint)
    if isinstance(constraint, Bounds):
        return _is_number(value) and _is_within(constraint, value)
    if isinstance(constraint, str):
        return isinstance(value, str) and fnmatchcase(value, constraint)
    return _is_number(value) == _is_number(constraint) and bool(value == constraint)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_within(bounds: Bounds, value: float) -> bool:
    low = bounds.min is None or value >= bounds.min
    return low and (bounds.max is None or value <= bounds.max)


def _said(constraint: Any) -> str:
    if isinstance(constraint, Bounds):
        low = [] if constraint.min is None else [f"at least {constraint.min:g}"]
        high = [] if constraint.max is None else [f"at most {constraint.max:g}"]
        return " and ".join([*low, *high]) or "a number"
    if isinstance(constraint, list):
        return f"one of {', '.join(str(one) for one in constraint)}"
    return str(constraint)
