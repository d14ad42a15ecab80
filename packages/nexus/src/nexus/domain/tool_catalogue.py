"""Where tools are described: names, schemas, and whether parameters fit. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from nexus.domain.errors import Invalid

MOST_OFFERS = 64
MOST_SCHEMA_BYTES = 32 * 1024
_LONGEST_DESCRIPTION = 4_000
_TOOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}")
# A pattern of a stranger's schema must not keep us busy for ever.
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000)
_A_FEW = 3


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that a tool can do; ``idempotent`` says that doing it twice is doing it once."""

    tool: str
    action: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    idempotent: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.tool}.{self.action}"


def check_action(action: Action) -> None:
    """Refuse an action that cannot be offered.

    Raises:
        Invalid: a name is none, or the schema is none, or they are too long.
    """
    if not _TOOL.fullmatch(action.tool):
        raise Invalid(
            f"the tool's name {action.tool[:80]!r} must be letters, digits, '_' and '-'; at most 64"
        )
    if not _ACTION.fullmatch(action.action):
        raise Invalid(
            f"the action's name {action.action[:80]!r} must be letters, digits, '_', '-', '.' and "
            "'/'; at most 128"
        )
    if len(action.description) > _LONGEST_DESCRIPTION:
        raise Invalid(f"the description of {action.name} is longer than {_LONGEST_DESCRIPTION}")
    schema = schema_text(action.input_schema)
    if len(schema) > MOST_SCHEMA_BYTES:
        raise Invalid(f"the schema of {action.name} is larger than {MOST_SCHEMA_BYTES} bytes")
    try:
        _validator(schema)
    except ValueError as error:
        raise Invalid(f"the schema of {action.name} is no JSON Schema: {_first(error)}") from error


def schema_text(schema: Mapping[str, Any]) -> bytes:
    """Return a schema as the text by which it is known."""
    return orjson.dumps(schema)


def misfit(schema: Mapping[str, Any], params: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the parameters, without their values; None when they fit."""
    try:
        validator = _validator(schema_text(schema))
    except ValueError as error:
        return f"the tool's own schema cannot be used: {_first(error)}"
    problems = map(_told, islice(validator.iter_errors(params), _A_FEW))
    return "; ".join(problems) or None


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> Any:
    """Return what validates; nothing is ever fetched for it."""
    return jsonschema_rs.validator_for(
        schema.decode(), mask="the value", pattern_options=_PATTERNS, offline=True
    )


def _told(error: jsonschema_rs.ValidationError) -> str:
    where = "".join(f"/{part}" for part in error.instance_path)
    return f"{where or 'params'}: {error.message}"


def _first(error: ValueError) -> str:
    return str(error).partition("\n")[0][:200]
