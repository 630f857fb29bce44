"""A statement that almost every request sends: how that is done is worked out once.

SQLAlchemy keeps the text of a statement too, but looks it up each time, and sets up a transaction
and a result around it; that was a fifth of what asking for the status costs.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVarTuple, cast

from sqlalchemy import Dialect, Engine, PoolProxiedConnection, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import TypedReturnsRows

Columns = TypeVarTuple("Columns")
Processor = Callable[[Any], Any]


class ConnectionLost(Exception):
    """There was no connection, or it was found dead: whether anything was done is not known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one kind of database is sent, and what becomes of the values on both ways."""

    text: str
    bound: Mapping[str, Processor | None]
    constants: dict[str, object]
    """The parameters whose values are the statement's own."""
    positions: tuple[str, ...] | None
    """The parameters in the order of the text, where they have no names in it."""
    shown: tuple[Processor | None, ...]
    row: type[Any]

    def parameters(self, values: Mapping[str, object]) -> Any:
        """Return the values as the driver takes them."""
        sent = {
            name: processed(values[name]) if processed else values[name]
            for name, processed in self.bound.items()
        } | self.constants
        return sent if self.positions is None else tuple(sent[name] for name in self.positions)

    def read(self, fetched: tuple[Any, ...]) -> Any:
        """Return a row of the driver as the statement's."""
        pairs = zip(self.shown, fetched, strict=True)
        return self.row(*(processed(value) if processed else value for processed, value in pairs))


class CompiledQuery(Generic[*Columns]):
    """A statement with named parameters and nothing else, which gives one row or none."""

    def __init__(self, statement: TypedReturnsRows[*Columns]) -> None:
        self.statement = statement
        self._plans: dict[str, Plan] = {}

    def first(self, engine: Engine, values: Mapping[str, object]) -> Row[*Columns] | None:
        """Return the row. Raises DBAPIError as SQLAlchemy does, or ConnectionLost."""
        dialect = engine.dialect
        plan = self._plans.get(dialect.name) or self._planned(dialect)
        connection = _connected(engine)
        try:
            cursor = connection.cursor()
            cursor.execute(plan.text, plan.parameters(values))
            fetched = cursor.fetchone()
            cursor.close()
        except dialect.loaded_dbapi.Error as error:
            if dialect.is_disconnect(error, connection.dbapi_connection, None):
                connection.invalidate()
                raise ConnectionLost from error
            known: type[Exception] = dialect.loaded_dbapi.Error
            raise DBAPIError.instance(plan.text, None, error, known, True) from error
        finally:
            connection.close()
        return None if fetched is None else cast("Row[*Columns]", plan.read(fetched))

    def _planned(self, dialect: Dialect) -> Plan:
        compiled = self.statement.compile(dialect=dialect)
        columns = self.statement.exported_columns
        parameters = {
            name: (parameter, parameter.type.dialect_impl(dialect).bind_processor(dialect))
            for parameter, name in compiled.bind_names.items()
        }
        plan = self._plans[dialect.name] = Plan(
            text=str(compiled),
            bound={
                name: processed
                for name, (parameter, processed) in parameters.items()
                if parameter.required
            },
            constants={
                name: processed(parameter.value) if processed else parameter.value
                for name, (parameter, processed) in parameters.items()
                if not parameter.required
            },
            positions=tuple(compiled.positiontup) if compiled.positiontup else None,
            shown=tuple(
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in columns
            ),
            row=namedtuple("Shown", columns.keys()),
        )
        return plan


def _connected(engine: Engine) -> PoolProxiedConnection:
    try:
        return engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise ConnectionLost from error
