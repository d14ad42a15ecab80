"""Where the call that comes most is recognised: the heartbeat of an agent that holds nothing.

It renews no lease, so it needs no transaction, and thousands of idle agents send nothing else.
"""

from typing import Any

from pydantic_core import CoreSchema, SchemaValidator, core_schema

from oblivion.protocol import EventType


def _record(optional: tuple[str, ...] = (), **kinds: CoreSchema) -> CoreSchema:
    fields = {
        name: core_schema.typed_dict_field(kind, required=name not in optional)
        for name, kind in kinds.items()
    }
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


_PLAIN = SchemaValidator(
    _record(
        type=core_schema.literal_schema([EventType.HEARTBEAT.value]),
        payload=_record(
            ping=core_schema.literal_schema([True]),
            active=core_schema.list_schema(max_length=0),
        ),
        id=core_schema.str_schema(pattern=r"^[^\x00]*$"),
        timestamp=core_schema.datetime_schema(),
        optional=("id", "timestamp"),
    )
)


def is_idle_beat(name: str, data: Any) -> bool:
    """Whether this call is such a heartbeat; one with anything unusual in it counts as none."""
    return name == EventType.HEARTBEAT and _PLAIN.isinstance_python(data)
