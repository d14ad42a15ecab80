"""Where the habits of every wire model live: camelCase outside, snake_case inside, tolerant in."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel


@lru_cache(maxsize=4096)
def format_timestamp(moment: datetime) -> str:
    """Write ``moment`` as RFC 3339 in UTC with milliseconds, e.g. ``2026-01-31T09:30:00.000Z``."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Timestamp = Annotated[
    datetime,
    AfterValidator(_as_utc),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
]
"""A moment in UTC; on the wire RFC 3339 with milliseconds and ``Z``."""


class WireModel(BaseModel):
    """A value that crosses the wire.

    JSON is camelCase and Python snake_case; both spellings are accepted. Unknown fields are
    ignored, and a ``null`` for a field that has a default means that default, so that an older
    or newer peer never breaks a reader.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        frozen=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _nulls_mean_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        if None not in fields.values():
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object that travels: camelCase keys, absent optionals left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
