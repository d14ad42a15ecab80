"""Where the statements of every task's life are made ready: compiled once, then only run.

SQLAlchemy Core stays the language. But to build, look up and execute an expression takes it ten
times as long as the database takes to answer, so what runs often is a :class:`Statement`: its SQL
is made once for each kind of database and goes straight to the driver.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.sql import visitors

Row = Mapping[str, Any]
"""One row by its columns' names."""
Process = Callable[[Any], Any]
_FLOAT8 = 701
"""What PostgreSQL calls our numbers with a fraction; no other type of ours looks at it."""
_A_FEW = 16
Core = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete


class Statement:
    """A Core statement whose values come by name, as ``sa.bindparam``; constants are plain values.

    Constants become part of the SQL. As parameters they would have SQLite plan the statement anew
    at each run, where it asks them whether the condition of an index holds. Lists have no place in
    it: write them out (``schema.is_held``) or run the expression itself.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._compiled: dict[str, _Compiled] = {}

    def on(self, dialect: sa.Dialect) -> "_Compiled":
        """Return the statement as this kind of database wants it."""
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._core, dialect)
        return compiled


class Some:
    """A query for the rows whose ``column`` has one of a few values, however many those are.

    A list would have to be written out anew for each length; this asks for ``_A_FEW`` at a time.
    """

    def __init__(self, query: sa.Select[Any], column: sa.ColumnElement[Any]) -> None:
        names = [f"one_of_{number}" for number in range(_A_FEW)]
        self._names = names
        self._statement = Statement(query.where(column.in_([sa.bindparam(n) for n in names])))

    def rows(self, tx: "Asks", wanted: Sequence[Any]) -> list[Row]:
        """Return the rows of these values."""
        found: list[Row] = []
        for begin in range(0, len(wanted), _A_FEW):
            few = wanted[begin : begin + _A_FEW]
            padded = [*few, *[None] * (_A_FEW - len(few))]
            found += tx.rows(self._statement, **dict(zip(self._names, padded, strict=True)))
        return found


class Asks(Protocol):
    """Whoever runs statements: a transaction."""

    def rows(self, query: Statement, **values: Any) -> Sequence[Row]:
        """Return all rows of ``query``."""
        ...


class _Compiled:
    def __init__(self, core: Core, dialect: sa.Dialect) -> None:
        compiled = _with_constants(core, dialect).compile(dialect=dialect)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._dialect = dialect
        self._sql = str(compiled)
        self._constants = {name: bind.value for name, bind in binds.items() if not bind.required}
        self._into = _processors(binds, dialect, "bind_processor")
        self._take = _taker(compiled.positiontup)
        columns = {str(column.key): column for column in _returned(core)}
        self._keys = tuple(columns)
        self._out_of = _processors(columns, dialect, "result_processor", _FLOAT8)

    def rows(self, driver: Any, values: Mapping[str, Any]) -> list[Row]:
        """Run it and return its rows."""
        found = self._execute(driver, values).fetchall()
        rows = [dict(zip(self._keys, row, strict=True)) for row in found]
        for key, out_of in self._out_of:
            for row in rows:
                if row[key] is not None:
                    row[key] = out_of(row[key])
        return rows  # type: ignore[return-value]  # a dict is a mapping

    def change(self, driver: Any, values: Mapping[str, Any]) -> int:
        """Run it and return how many rows it touched."""
        touched: int = self._execute(driver, values).rowcount
        return touched

    def change_all(self, driver: Any, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run it for each of these rows of values and return how many rows that touched."""
        bound = [self._bound(values) for values in rows]
        if len(bound) == 1:
            return int(self._run(driver.execute, bound[0]).rowcount)
        cursor = driver.cursor()
        self._run(cursor.executemany, bound)
        return int(cursor.rowcount)

    def _execute(self, driver: Any, values: Mapping[str, Any]) -> Any:
        return self._run(driver.execute, self._bound(values))

    def _bound(self, values: Mapping[str, Any]) -> Any:
        if self._constants or self._into:
            values = {**self._constants, **values}
            for name, into in self._into:
                values[name] = into(values[name])
        return self._take(values)

    def _run(self, execute: Callable[[str, Any], Any], given: Any) -> Any:
        dbapi = self._dialect.loaded_dbapi
        try:
            return execute(self._sql, given)
        except dbapi.Error as error:
            # As SQLAlchemy does, so that all who catch know one kind of error.
            raise sa.exc.DBAPIError.instance(
                self._sql, None, error, dbapi.Error, dialect=self._dialect
            ) from error


def _with_constants(core: Core, dialect: sa.Dialect) -> Core:
    """Return the statement with its constants written out as this kind of database reads them."""
    compiler = dialect.statement_compiler(dialect, None)

    def write(element: Any, **_: Any) -> Any:
        if not isinstance(element, sa.BindParameter) or element.required:
            return None
        if isinstance(element.type, sa.types.NullType):
            return None  # a value to set: its column, not itself, says what it is
        text = compiler.render_literal_value(element.value, element.type)
        if "%" in text:
            return None  # what a driver takes it for is no matter of constants
        return sa.literal_column(text, element.type)

    return cast("Core", visitors.replacement_traverse(core, {}, write))


def _taker(order: Sequence[str] | None) -> Callable[[Mapping[str, Any]], Any]:
    """Return what puts values in the order of the SQL, where it wants them by place."""
    if order is None:
        return dict
    if len(order) == 1:
        return lambda values: (values[order[0]],)
    return itemgetter(*order) if order else lambda values: ()


def _returned(core: Core) -> tuple[sa.ColumnElement[Any], ...]:
    return tuple(getattr(core, "exported_columns", ()))


def _processors(
    typed: Mapping[str, Any], dialect: sa.Dialect, kind: str, *more: Any
) -> list[tuple[str, Process]]:
    found = {
        name: getattr(one.type.dialect_impl(dialect), kind)(dialect, *more)
        for name, one in typed.items()
    }
    return [(name, process) for name, process in found.items() if process is not None]


@lru_cache(maxsize=256)
def insert_into(table: sa.Table, columns: tuple[str, ...]) -> Statement:
    """Return the statement that inserts one row with these columns."""
    return Statement(table.insert().values({name: sa.bindparam(name) for name in columns}))


@lru_cache(maxsize=256)
def update_of(table: sa.Table, columns: tuple[str, ...], where: tuple[str, ...]) -> Statement:
    """Return the statement that sets these columns where those equal ``was_<column>``."""
    conditions = [table.c[name] == sa.bindparam(f"was_{name}") for name in where]
    values: dict[str, Any] = {name: sa.bindparam(name) for name in columns}
    return Statement(table.update().where(*conditions).values(values))
