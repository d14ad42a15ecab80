"""Where JSON columns get their type: text, on every database."""

from typing import Any

import orjson
import sqlalchemy as sa


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value as text; None is NULL.

    SQLAlchemy's own JSON type declares its columns as ``JSON``, to which SQLite gives numeric
    affinity: a bare number would come back as a number instead of its text.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Write a value."""
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Read a value."""
        return None if value is None else orjson.loads(value)
