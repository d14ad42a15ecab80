"""Where JSON columns get their type: text, on every database."""

from collections.abc import Callable
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

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str | None]:
        """Return what writes a value."""
        return _text

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what reads a value."""
        return _value


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _value(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
